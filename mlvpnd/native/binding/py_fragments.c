#include "binding/py_fragments.h"

PyTypeObject *native_FragmentTable_type;

static struct fragments *table_of(PyObject *self) {
    return &((struct fragments_object *)self)->table;
}

static int init(PyObject *self, PyObject *args, PyObject *names) {
    static char *keywords[] = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, names, "", keywords))
        return -1;
    fragments_clear(table_of(self));
    return 0;
}

static void dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static int check(Py_ssize_t size) {
    if (size > 0 && size <= FRAGMENTS_LONGEST_NAME)
        return 0;
    PyErr_SetString(PyExc_ValueError, "no fragment has such a name");
    return -1;
}

static PyObject *note(PyObject *self, PyObject *args) {
    const char *name;
    Py_ssize_t size;
    unsigned short decision;
    double now;
    if (!PyArg_ParseTuple(args, "y#Hd", &name, &size, &decision, &now) || check(size) < 0)
        return NULL;
    fragments_note(table_of(self), (const uint8_t *)name, (size_t)size, decision, now);
    Py_RETURN_NONE;
}

static PyObject *find(PyObject *self, PyObject *args) {
    const char *name;
    Py_ssize_t size;
    double now;
    if (!PyArg_ParseTuple(args, "y#d", &name, &size, &now) || check(size) < 0)
        return NULL;
    int decision = fragments_find(table_of(self), (const uint8_t *)name, (size_t)size, now);
    return decision < 0 ? Py_NewRef(Py_None) : PyLong_FromLong(decision);
}

static PyObject *clear(PyObject *self, PyObject *nothing) {
    (void)nothing;
    fragments_clear(table_of(self));
    Py_RETURN_NONE;
}

/* As a plain tuple: what a filter is shown, the name, whether it is the first. */
static PyObject *piece_of_packet(PyObject *module, PyObject *args, PyObject *names) {
    (void)module;
    static char *keywords[] = {"", "layer2", NULL};
    Py_buffer packet;
    int layer2;
    if (!PyArg_ParseTupleAndKeywords(args, names, "y*$p", keywords, &packet, &layer2))
        return NULL;
    struct piece piece;
    PyObject *found = NULL, *plain = NULL;
    if (!piece_of(packet.buf, (size_t)packet.len, layer2, &piece)) {
        found = Py_NewRef(Py_None);
    } else {
        plain = piece.rest ? PyBytes_FromStringAndSize(NULL, packet.len) : Py_NewRef(Py_None);
        if (plain && piece.rest) {
            size_t size = piece_plain(&piece, packet.buf, (size_t)packet.len, (uint8_t *)PyBytes_AS_STRING(plain));
            _PyBytes_Resize(&plain, (Py_ssize_t)size);
        }
        if (plain)
            found = Py_BuildValue("(Oy#O)", plain, (const char *)piece.name, (Py_ssize_t)piece.name_size,
                                  piece.first ? Py_True : Py_False);
        Py_XDECREF(plain);
    }
    PyBuffer_Release(&packet);
    return found;
}

static PyMethodDef methods[] = {
    {"note", note, METH_VARARGS, NULL},
    {"find", find, METH_VARARGS, NULL},
    {"clear", clear, METH_NOARGS, NULL},
    {NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_init, init}, {Py_tp_new, PyType_GenericNew}, {Py_tp_dealloc, dealloc}, {Py_tp_methods, methods}, {0, NULL},
};

static PyType_Spec spec = {
    .name = "mlvpnd.dataplane._native.FragmentTable",
    .basicsize = sizeof(struct fragments_object),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = slots,
};

static PyMethodDef functions[] = {
    {"piece_of", (PyCFunction)(void (*)(void))piece_of_packet, METH_VARARGS | METH_KEYWORDS, NULL},
    {NULL},
};

int native_add_fragments(PyObject *module) {
    native_FragmentTable_type = native_add_type(module, &spec);
    return native_FragmentTable_type ? PyModule_AddFunctions(module, functions) : -1;
}
