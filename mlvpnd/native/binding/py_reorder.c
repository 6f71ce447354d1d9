#include "binding/py_reorder.h"

PyTypeObject *native_ReorderBuffer_type;

static inline struct reorder_buffer *buffer_of(PyObject *self) {
    return &((struct reorder_buffer_object *)self)->buffer;
}

static PyObject *new(PyTypeObject *type, PyObject *args, PyObject *names) {
    static char *keywords[] = {"size", "wait", NULL};
    Py_ssize_t size;
    double wait;
    if (!PyArg_ParseTupleAndKeywords(args, names, "nd", keywords, &size, &wait))
        return NULL;
    if (size < 1) {
        PyErr_SetString(PyExc_ValueError, "a reorder buffer holds at least one packet");
        return NULL;
    }
    PyObject *self = type->tp_alloc(type, 0);
    if (self && !reorder_begin(buffer_of(self), (size_t)size, wait)) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    return self;
}

static void dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    reorder_end(buffer_of(self));
    type->tp_free(self);
    Py_DECREF(type);
}

static Py_ssize_t length(PyObject *self) {
    return (Py_ssize_t)buffer_of(self)->held;
}

static PyObject *set_links(PyObject *self, PyObject *disorder) {
    PyObject *items = PyMapping_Items(disorder);
    if (!items)
        return NULL;
    Py_ssize_t count = PyList_GET_SIZE(items);
    struct reorder_link *links = PyMem_New(struct reorder_link, count);
    Py_ssize_t at = 0;
    while (links && at < count &&
           PyArg_ParseTuple(PyList_GET_ITEM(items, at), "id", &links[at].link, &links[at].disorder))
        at++;
    Py_DECREF(items);
    bool set = links && at == count && reorder_set_links(buffer_of(self), links, (size_t)count);
    PyMem_Free(links);
    if (set)
        Py_RETURN_NONE;
    return PyErr_Occurred() ? NULL : PyErr_NoMemory();
}

static PyObject *push(PyObject *self, PyObject *args) {
    unsigned long long data_seq;
    PyObject *bytes;
    double now;
    int link;
    if (!PyArg_ParseTuple(args, "KOdi", &data_seq, &bytes, &now, &link))
        return NULL;
    struct packet *packet = native_packet(bytes);
    if (!packet)
        return NULL;
    packet->data_seq = data_seq;
    struct packet_list out = {0};
    if (!reorder_push(buffer_of(self), packet, now, link, &out))
        return PyErr_NoMemory();
    return native_bytes_list(&out);
}

static PyObject *is_anew(PyObject *self, PyObject *args) {
    unsigned long long data_seq;
    double now, grace;
    if (!PyArg_ParseTuple(args, "Kdd", &data_seq, &now, &grace))
        return NULL;
    int anew = reorder_is_anew(buffer_of(self), data_seq, now, grace);
    if (anew < 0)
        Py_RETURN_NONE;
    return PyBool_FromLong(anew);
}

static PyObject *deadline(PyObject *self, PyObject *nothing) {
    (void)nothing;
    if (!buffer_of(self)->held)
        Py_RETURN_NONE;
    return PyFloat_FromDouble(reorder_deadline(buffer_of(self)));
}

static PyObject *expire(PyObject *self, PyObject *number) {
    double now = PyFloat_AsDouble(number);
    if (now == -1.0 && PyErr_Occurred())
        return NULL;
    struct packet_list out = {0};
    reorder_expire(buffer_of(self), now, &out);
    return native_bytes_list(&out);
}

static PyObject *flush(PyObject *self, PyObject *nothing) {
    (void)nothing;
    struct packet_list out = {0};
    reorder_flush(buffer_of(self), &out);
    return native_bytes_list(&out);
}

#define FIELD(name) offsetof(struct reorder_buffer_object, buffer.name)

static PyMemberDef members[] = {
    {"size", T_PYSSIZET, FIELD(size), READONLY, NULL},
    {"wait", T_DOUBLE, FIELD(wait), 0, NULL},
    {"late", T_ULONGLONG, FIELD(late), READONLY, NULL},
    {"timeouts", T_ULONGLONG, FIELD(timeouts), READONLY, NULL},
    {"duplicates", T_ULONGLONG, FIELD(duplicates), READONLY, NULL},
    {NULL},
};

static PyMethodDef methods[] = {
    {"set_links", set_links, METH_O, NULL},
    {"push", push, METH_VARARGS, NULL},
    {"is_anew", is_anew, METH_VARARGS, NULL},
    {"deadline", deadline, METH_NOARGS, NULL},
    {"expire", expire, METH_O, NULL},
    {"flush", flush, METH_NOARGS, NULL},
    {NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_new, new},         {Py_tp_dealloc, dealloc}, {Py_sq_length, length},
    {Py_tp_members, members}, {Py_tp_methods, methods}, {0, NULL},
};

static PyType_Spec spec = {
    .name = "mlvpnd.dataplane._native.ReorderBuffer",
    .basicsize = sizeof(struct reorder_buffer_object),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = slots,
};

int native_add_reorder(PyObject *module) {
    native_ReorderBuffer_type = native_add_type(module, &spec);
    return native_ReorderBuffer_type ? 0 : -1;
}
