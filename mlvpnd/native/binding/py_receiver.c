#include "binding/py_receiver.h"

#include "binding/py_copies.h"
#include "binding/py_reorder.h"
#include "binding/py_replay.h"

PyTypeObject *native_Receiver_type;

#define SELF ((struct receiver_object *)self)

static int get_time(PyObject *number, double *now) {
    *now = PyFloat_AsDouble(number);
    return *now == -1.0 && PyErr_Occurred() ? -1 : 0;
}

/* The path of a call `name(path, ...)`; NULL with an exception set. */
static struct path_state *get_path(PyObject *path) {
    if (PyObject_TypeCheck(path, native_PathState_type))
        return &((struct path_object *)path)->state;
    PyErr_SetString(PyExc_TypeError, "a link must be a native PathState");
    return NULL;
}

/* Reads the fields of a Header that the engine needs. */
static int get_header(PyObject *object, struct wire_header *header) {
    int reorder;
    unsigned short length, timestamp, timestamp_reply;
    unsigned char type;
    unsigned int flow_id;
    unsigned long long seq, data_seq;
    if (!PyArg_ParseTuple(object, "HbpHHIKK", &length, &type, &reorder, &timestamp, &timestamp_reply, &flow_id, &seq,
                          &data_seq))
        return -1;
    *header = (struct wire_header){length, type, reorder, timestamp, timestamp_reply, flow_id, seq, data_seq};
    return 0;
}

static int set_takes_first(PyObject *self, PyObject *value, void *closure) {
    (void)closure;
    int wanted = value ? PyObject_IsTrue(value) : -1;
    if (wanted < 0)
        return -1;
    if (wanted == (SELF->copies != Py_None))
        return 0;
    PyObject *copies = wanted ? PyObject_CallNoArgs((PyObject *)native_CopyFilter_type) : Py_NewRef(Py_None);
    if (!copies)
        return -1;
    Py_SETREF(SELF->copies, copies);
    SELF->receiver.copies = wanted ? &((struct copy_filter_object *)copies)->copies : NULL;
    return 0;
}

static PyObject *get_takes_first(PyObject *self, void *closure) {
    (void)closure;
    return PyBool_FromLong(SELF->copies != Py_None);
}

static PyObject *get_reorder(PyObject *self, void *closure) {
    (void)closure;
    return Py_NewRef(SELF->reorder);
}

static PyObject *resize(PyObject *self, PyObject *number) {
    Py_ssize_t size = PyLong_AsSsize_t(number);
    if (size == -1 && PyErr_Occurred())
        return NULL;
    PyObject *type = (PyObject *)native_ReorderBuffer_type;
    PyObject *reorder = size ? PyObject_CallFunction(type, "nd", size, RECEIVER_UNKNOWN_SPREAD) : Py_NewRef(Py_None);
    if (!reorder || native_paths_follow(&SELF->paths) < 0) {
        Py_XDECREF(reorder);
        return NULL;
    }
    struct packet_list held = {0};
    if (SELF->receiver.reorder)
        reorder_flush(SELF->receiver.reorder, &held);
    Py_SETREF(SELF->reorder, reorder);
    SELF->receiver.reorder = size ? &((struct reorder_buffer_object *)reorder)->buffer : NULL;
    for (size_t index = 0; index < SELF->paths.table.count; index++)
        SELF->paths.table.paths[index]->epoch = PATH_NO_EPOCH;
    SELF->receiver.update_at = -Py_HUGE_VAL;
    return native_bytes_list(&held);
}

static int init(PyObject *self, PyObject *args, PyObject *names) {
    static char *keywords[] = {"paths", "reorder_size", "takes_first", NULL};
    PyObject *paths, *size, *takes_first;
    if (!PyArg_ParseTupleAndKeywords(args, names, "O!O$O", keywords, &PyDict_Type, &paths, &size, &takes_first))
        return -1;
    if (SELF->paths.mapping) {
        PyErr_SetString(PyExc_TypeError, "it has begun already");
        return -1;
    }
    SELF->paths.mapping = Py_NewRef(paths);
    SELF->reorder = Py_NewRef(Py_None);
    SELF->copies = Py_NewRef(Py_None);
    receiver_begin(&SELF->receiver, &SELF->paths.table);
    PyObject *held = resize(self, size);
    if (!held)
        return -1;
    Py_DECREF(held);
    return set_takes_first(self, takes_first, NULL);
}

static PyObject *measure(PyObject *self, PyObject *args) {
    PyObject *link, *header_object, *plaintext, *flow;
    int newest, authentic;
    double now;
    struct wire_header header;
    if (!PyArg_ParseTuple(args, "O(OOO!pp)d", &link, &header_object, &plaintext, native_PeerFlow_type, &flow, &newest,
                          &authentic, &now))
        return NULL;
    struct path_state *path = get_path(link);
    if (!path || get_header(header_object, &header) < 0 || native_paths_follow(&SELF->paths) < 0)
        return NULL;
    receiver_measure(&SELF->receiver, path, &header, &((struct peer_flow_object *)flow)->flow, newest, authentic, now);
    Py_RETURN_NONE;
}

static PyObject *receive(PyObject *self, PyObject *args) {
    PyObject *link, *header_object, *bytes;
    double now;
    struct wire_header header;
    if (!PyArg_ParseTuple(args, "OOOd", &link, &header_object, &bytes, &now))
        return NULL;
    struct path_state *path = get_path(link);
    if (!path || get_header(header_object, &header) < 0 || native_paths_follow(&SELF->paths) < 0)
        return NULL;
    struct packet *packet = native_packet(bytes);
    if (!packet)
        return NULL;
    struct packet_list out = {0};
    receiver_receive(&SELF->receiver, path, &header, packet, now, &out);
    return native_bytes_list(&out);
}

static PyObject *begin_flow(PyObject *self, PyObject *args) {
    PyObject *link;
    double now;
    if (!PyArg_ParseTuple(args, "Od", &link, &now))
        return NULL;
    struct path_state *path = get_path(link);
    if (!path || native_paths_follow(&SELF->paths) < 0)
        return NULL;
    receiver_begin_flow(&SELF->receiver, path, now);
    Py_RETURN_NONE;
}

/* Methods that take the time and return nothing. */
#define AT_TIME(name)                                                                                                  \
    static PyObject *name(PyObject *self, PyObject *number) {                                                          \
        double now;                                                                                                    \
        if (get_time(number, &now) < 0 || native_paths_follow(&SELF->paths) < 0)                                       \
            return NULL;                                                                                               \
        receiver_##name(&SELF->receiver, now);                                                                         \
        Py_RETURN_NONE;                                                                                                \
    }

AT_TIME(lose)
AT_TIME(refresh)
AT_TIME(update)

static PyObject *stood_still(PyObject *self, PyObject *nothing) {
    (void)nothing;
    if (native_paths_follow(&SELF->paths) < 0)
        return NULL;
    receiver_stood_still(&SELF->receiver);
    Py_RETURN_NONE;
}

static PyObject *take_freed(PyObject *self, PyObject *nothing) {
    (void)nothing;
    return native_bytes_list(&SELF->receiver.freed);
}

static PyObject *get_released(PyObject *self, void *closure) {
    (void)closure;
    return PyBool_FromLong(SELF->receiver.freed.count > 0);
}

static PyObject *flush(PyObject *self, PyObject *nothing) {
    (void)nothing;
    struct packet_list held = {0};
    if (SELF->receiver.reorder)
        reorder_flush(SELF->receiver.reorder, &held);
    return native_bytes_list(&held);
}

static PyObject *expire(PyObject *self, PyObject *number) {
    double now;
    if (get_time(number, &now) < 0)
        return NULL;
    struct packet_list out = {0};
    if (SELF->receiver.reorder)
        reorder_expire(SELF->receiver.reorder, now, &out);
    return native_bytes_list(&out);
}

static PyObject *due(PyObject *self, PyObject *nothing) {
    (void)nothing;
    double deadline = SELF->receiver.reorder ? reorder_deadline(SELF->receiver.reorder) : Py_HUGE_VAL;
    if (deadline == Py_HUGE_VAL)
        Py_RETURN_NONE;
    return PyFloat_FromDouble(deadline);
}

static void dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    packet_list_free(&SELF->receiver.freed);
    native_paths_end(&SELF->paths);
    Py_XDECREF(SELF->reorder);
    Py_XDECREF(SELF->copies);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyGetSetDef attributes[] = {
    {"takes_first", get_takes_first, set_takes_first, NULL, NULL},
    {"reorder", get_reorder, NULL, NULL, NULL},
    {"freed", get_released, NULL, NULL, NULL},
    {NULL},
};

static PyMethodDef methods[] = {
    {"resize", resize, METH_O, NULL},
    {"measure", measure, METH_VARARGS, NULL},
    {"receive", receive, METH_VARARGS, NULL},
    {"begin_flow", begin_flow, METH_VARARGS, NULL},
    {"lose", lose, METH_O, NULL},
    {"take_freed", take_freed, METH_NOARGS, NULL},
    {"flush", flush, METH_NOARGS, NULL},
    {"refresh", refresh, METH_O, NULL},
    {"update", update, METH_O, NULL},
    {"stood_still", stood_still, METH_NOARGS, NULL},
    {"due", due, METH_NOARGS, NULL},
    {"expire", expire, METH_O, NULL},
    {NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_init, init},         {Py_tp_new, PyType_GenericNew}, {Py_tp_dealloc, dealloc},
    {Py_tp_getset, attributes}, {Py_tp_methods, methods},       {0, NULL},
};

static PyType_Spec spec = {
    .name = "mlvpnd.dataplane._native.Receiver",
    .basicsize = sizeof(struct receiver_object),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = slots,
};

int native_add_receiver(PyObject *module) {
    native_Receiver_type = native_add_type(module, &spec);
    return native_Receiver_type ? 0 : -1;
}
