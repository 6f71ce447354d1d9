#include "binding/py_engine.h"

#include "binding/py_fragments.h"
#include "binding/py_flow_index.h"
#include "binding/py_paced.h"
#include "binding/py_replay.h"
#include "binding/py_retransmissions.h"
#include "binding/py_weighted.h"

PyTypeObject *native_Engine_type;

#define SELF ((struct engine_object *)self)

static struct native_paths *paths_of(struct engine_object *engine) {
    return &((struct receiver_object *)engine->receiver)->paths;
}

int native_engine_enter(struct engine_object *engine) {
    return native_paths_follow(paths_of(engine));
}

static int init(PyObject *self, PyObject *args, PyObject *names) {
    static char *keywords[] = {"receiver",  "paced", "weighted", "retransmissions",
                               "fragments", "flows", "layer2",   NULL};
    PyObject *receiver, *paced, *weighted, *retransmissions, *fragments, *flows;
    int layer2;
    if (!PyArg_ParseTupleAndKeywords(args, names, "O!O!O!O!O!O!$p", keywords, native_Receiver_type, &receiver,
                                     native_PacedScheduler_type, &paced, native_WeightedScheduler_type, &weighted,
                                     native_Retransmissions_type, &retransmissions, native_FragmentTable_type,
                                     &fragments, native_FlowIndex_type, &flows, &layer2))
        return -1;
    if (SELF->receiver) {
        PyErr_SetString(PyExc_TypeError, "it has begun already");
        return -1;
    }
    SELF->receiver = Py_NewRef(receiver);
    SELF->paced = Py_NewRef(paced);
    SELF->weighted = Py_NewRef(weighted);
    SELF->retransmissions = Py_NewRef(retransmissions);
    SELF->fragments = Py_NewRef(fragments);
    SELF->flows = Py_NewRef(flows);
    SELF->engine.flows = &((struct flow_index_object *)flows)->index;
    SELF->engine.layer2 = layer2;
    SELF->engine.outer = ENGINE_OUTER_IPV4;
    SELF->engine.receiver = &((struct receiver_object *)receiver)->receiver;
    SELF->engine.table = &paths_of(SELF)->table;
    SELF->engine.paced = &((struct paced_object *)paced)->paced;
    SELF->engine.weighted = &((struct weighted_object *)weighted)->weighted;
    SELF->engine.fragments = &((struct fragments_object *)fragments)->table;
    SELF->engine.retransmissions = &((struct retransmissions_object *)retransmissions)->seen;
    return 0;
}

static void dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    PyMem_Free(SELF->engine.programs);
    Py_XDECREF(SELF->receiver);
    Py_XDECREF(SELF->paced);
    Py_XDECREF(SELF->weighted);
    Py_XDECREF(SELF->retransmissions);
    Py_XDECREF(SELF->fragments);
    Py_XDECREF(SELF->flows);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *set_key(PyObject *self, PyObject *bytes) {
    char *key;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(bytes, &key, &size) < 0)
        return NULL;
    if (size != WIRE_KEY_SIZE) {
        PyErr_Format(PyExc_ValueError, "a key has %d bytes, not %zd", WIRE_KEY_SIZE, size);
        return NULL;
    }
    memcpy(SELF->engine.key, key, WIRE_KEY_SIZE);
    Py_RETURN_NONE;
}

static PyObject *set_programs(PyObject *self, PyObject *args) {
    unsigned long long function;
    PyObject *addresses;
    if (!PyArg_ParseTuple(args, "KO!", &function, &PyTuple_Type, &addresses))
        return NULL;
    size_t count = (size_t)PyTuple_GET_SIZE(addresses);
    const void **programs = PyMem_Malloc((count + 1) * sizeof *programs);
    if (!programs)
        return PyErr_NoMemory();
    for (size_t index = 0; index < count; index++) {
        programs[index] = PyLong_AsVoidPtr(PyTuple_GET_ITEM(addresses, index));
        if (PyErr_Occurred()) {
            PyMem_Free(programs);
            return NULL;
        }
    }
    PyMem_Free(SELF->engine.programs);
    SELF->engine.programs = programs;
    SELF->engine.program_count = count;
    SELF->engine.filter = (engine_filter)(uintptr_t)function;
    Py_RETURN_NONE;
}

/* Out. */

static PyObject *emit(PyObject *self, PyObject *args) {
    PyObject *link, *bytes, *to;
    int type, reorder;
    unsigned long long data_seq;
    double now;
    if (!PyArg_ParseTuple(args, "O!iOpKOd", native_PathState_type, &link, &type, &bytes, &reorder, &data_seq, &to,
                          &now))
        return NULL;
    struct path_object *path = (struct path_object *)link;
    struct address address = path->state.peer;
    if (to != Py_None)
        native_address(to, &address);
    if (!address.size) {
        PyErr_SetString(PyExc_ValueError, "that is no socket address");
        return NULL;
    }
    struct packet *packet = native_packet(bytes);
    if (!packet)
        return NULL;
    packet->reorder = reorder;
    packet->data_seq = data_seq;
    engine_emit(&SELF->engine, &path->state, &address, (enum wire_type)type, packet, now);
    Py_RETURN_NONE;
}

static PyObject *send_packets(PyObject *self, PyObject *args) {
    PyObject *packets;
    Py_ssize_t at;
    double now;
    if (!PyArg_ParseTuple(args, "O!nd", &PyList_Type, &packets, &at, &now) || native_engine_enter(SELF) < 0)
        return NULL;
    for (; at < PyList_GET_SIZE(packets); at++) {
        struct packet *packet = native_packet(PyList_GET_ITEM(packets, at));
        if (!packet)
            return NULL;
        if (packet->size + WIRE_HEADER_SIZE + WIRE_MAC_SIZE <= WIRE_MAX_DATAGRAM_SIZE &&
            engine_is_directed(&SELF->engine, packet, now)) {
            packet_free(packet);
            break;
        }
        engine_schedule(&SELF->engine, packet, now);
    }
    return PyLong_FromSsize_t(at);
}

static PyObject *schedule(PyObject *self, PyObject *args) {
    PyObject *bytes;
    double now;
    if (!PyArg_ParseTuple(args, "Od", &bytes, &now) || native_engine_enter(SELF) < 0)
        return NULL;
    struct packet *packet = native_packet(bytes);
    if (!packet)
        return NULL;
    engine_schedule(&SELF->engine, packet, now);
    Py_RETURN_NONE;
}

static PyObject *pump(PyObject *self, PyObject *number) {
    double now = PyFloat_AsDouble(number);
    if ((now == -1.0 && PyErr_Occurred()) || native_engine_enter(SELF) < 0)
        return NULL;
    engine_pump(&SELF->engine, now);
    Py_RETURN_NONE;
}

/* Puts one link's bursts, each with its address, behind `out`. */
static int take_bursts(struct path_object *path, PyObject *out) {
    for (struct burst *burst = path->state.bursts; burst; burst = burst->next) {
        if (!burst->datagrams.count)
            continue;
        PyObject *address = address_equal(&burst->address, &path->state.peer) ? Py_NewRef(path->peer)
                                                                              : native_address_tuple(&burst->address);
        PyObject *datagrams = native_bytes_list(&burst->datagrams);
        PyObject *item = address && datagrams ? Py_BuildValue("iOO", path->state.number, address, datagrams) : NULL;
        int added = item ? PyList_Append(out, item) : -1;
        Py_XDECREF(address);
        Py_XDECREF(datagrams);
        Py_XDECREF(item);
        if (added < 0)
            return -1;
    }
    path_clear(&path->state);
    return 0;
}

static PyObject *transmits(PyObject *self, PyObject *nothing) {
    (void)nothing;
    if (native_engine_enter(SELF) < 0)
        return NULL;
    PyObject *out = PyList_New(0);
    const struct native_paths *paths = paths_of(SELF);
    for (size_t index = 0; out && index < paths->table.count; index++)
        if (take_bursts((struct path_object *)paths->objects[index], out) < 0)
            Py_CLEAR(out);
    return out;
}

static PyObject *last_transmits(PyObject *self, PyObject *link) {
    (void)self;
    if (!PyObject_TypeCheck(link, native_PathState_type)) {
        PyErr_SetString(PyExc_TypeError, "a native PathState");
        return NULL;
    }
    PyObject *out = PyList_New(0);
    if (out && take_bursts((struct path_object *)link, out) < 0)
        Py_CLEAR(out);
    return out;
}

static PyObject *take_drops(PyObject *self, PyObject *nothing) {
    (void)nothing;
    PyObject *out = PyTuple_New(DROP_REASONS);
    for (int reason = 0; out && reason < DROP_REASONS; reason++) {
        PyObject *count = PyLong_FromUnsignedLongLong(SELF->engine.drops[reason]);
        if (!count)
            Py_CLEAR(out);
        else
            PyTuple_SET_ITEM(out, reason, count);
        SELF->engine.drops[reason] = 0;
    }
    return out;
}

/* In. */

static PyObject *receive(PyObject *self, PyObject *args) {
    PyObject *link, *burst;
    Py_ssize_t at;
    double now;
    if (!PyArg_ParseTuple(args, "O!O!nd", native_PathState_type, &link, &PyList_Type, &burst, &at, &now) ||
        native_engine_enter(SELF) < 0)
        return NULL;
    struct path_state *path = &((struct path_object *)link)->state;
    struct packet_list out = {0};
    bool data = false;
    for (; at < PyList_GET_SIZE(burst); at++) {
        PyObject *bytes, *source;
        if (!PyArg_ParseTuple(PyList_GET_ITEM(burst, at), "OO", &bytes, &source))
            break;
        struct address address;
        native_address(source, &address);
        struct packet *datagram = native_packet(bytes);
        if (!datagram)
            break;
        enum engine_fate fate = engine_take(&SELF->engine, path, datagram, &address, now, &out);
        data = data || fate == ENGINE_DATA;
        if (fate != ENGINE_DATA)
            packet_free(datagram);
        if (fate == ENGINE_SLOW)
            break;
    }
    PyObject *packets = native_bytes_list(&out);
    if (PyErr_Occurred())
        Py_CLEAR(packets);
    return packets ? Py_BuildValue("NnO", packets, at, data ? Py_True : Py_False) : NULL;
}

static PyMemberDef members[] = {
    {"is_server", T_BOOL, offsetof(struct engine_object, engine.is_server), 0, NULL},
    {"cleartext_data", T_BOOL, offsetof(struct engine_object, engine.cleartext_data), 0, NULL},
    {"is_paced", T_BOOL, offsetof(struct engine_object, engine.is_paced), 0, NULL},
    {"notes", T_BOOL, offsetof(struct engine_object, engine.notes), 0, NULL},
    {"asks", T_BOOL, offsetof(struct engine_object, engine.asks), 0, NULL},
    {"outer", T_LONGLONG, offsetof(struct engine_object, engine.outer), 0, NULL},
    {NULL},
};

static PyMethodDef methods[] = {
    {"set_key", set_key, METH_O, NULL},
    {"set_programs", set_programs, METH_VARARGS, NULL},
    {"emit", emit, METH_VARARGS, NULL},
    {"send", send_packets, METH_VARARGS, NULL},
    {"schedule", schedule, METH_VARARGS, NULL},
    {"pump", pump, METH_O, NULL},
    {"transmits", transmits, METH_NOARGS, NULL},
    {"last_transmits", last_transmits, METH_O, NULL},
    {"take_drops", take_drops, METH_NOARGS, NULL},
    {"receive", receive, METH_VARARGS, NULL},
    {NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_init, init},       {Py_tp_new, PyType_GenericNew}, {Py_tp_dealloc, dealloc},
    {Py_tp_members, members}, {Py_tp_methods, methods},       {0, NULL},
};

static PyType_Spec spec = {
    .name = "mlvpnd.dataplane._native.Engine",
    .basicsize = sizeof(struct engine_object),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = slots,
};

int native_add_engine(PyObject *module) {
    native_Engine_type = native_add_type(module, &spec);
    return native_Engine_type ? 0 : -1;
}
