#include "binding/py_flow_queue.h"

PyTypeObject *native_FlowQueue_type;

static struct flow_queue *queue_of(PyObject *self) {
    return &((struct flow_queue_object *)self)->queue;
}

static int init(PyObject *self, PyObject *args, PyObject *names) {
    static char *keywords[] = {"limit", NULL};
    long long limit;
    if (!PyArg_ParseTupleAndKeywords(args, names, "L", keywords, &limit))
        return -1;
    flow_queue_clear(queue_of(self));
    flow_queue_begin(queue_of(self), limit);
    return 0;
}

static void dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    flow_queue_clear(queue_of(self));
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *push(PyObject *self, PyObject *args) {
    PyObject *number, *bytes, *size;
    uint64_t flow;
    if (!PyArg_ParseTuple(args, "OOO", &number, &bytes, &size) || native_u64(number, &flow) < 0)
        return NULL;
    struct packet *packet = native_sized_packet(bytes, size);
    return packet ? PyLong_FromSize_t(flow_queue_push(queue_of(self), (uint32_t)flow, packet)) : NULL;
}

static PyObject *put_back(PyObject *self, PyObject *args) {
    PyObject *number, *bytes, *size;
    uint64_t flow;
    long long data_seq;
    if (!PyArg_ParseTuple(args, "OOOL", &number, &bytes, &size, &data_seq) || native_u64(number, &flow) < 0)
        return NULL;
    struct packet *packet = native_sized_packet(bytes, size);
    if (!packet)
        return NULL;
    packet->flow = (uint32_t)(flow % FLOW_QUEUE_BUCKETS);
    packet->reorder = data_seq >= 0;
    packet->data_seq = (uint64_t)data_seq;
    flow_queue_put_back(queue_of(self), packet);
    Py_RETURN_NONE;
}

static PyObject *trim(PyObject *self, PyObject *unused) {
    (void)unused;
    return PyLong_FromSize_t(flow_queue_trim(queue_of(self)));
}

static int check_not_empty(const struct flow_queue *queue) {
    if (queue->flows)
        return 0;
    PyErr_SetString(PyExc_IndexError, "the queue is empty");
    return -1;
}

static PyObject *next_size(PyObject *self, PyObject *unused) {
    (void)unused;
    if (check_not_empty(queue_of(self)) < 0)
        return NULL;
    return PyLong_FromUnsignedLong(flow_queue_next_size(queue_of(self)));
}

static PyObject *pop(PyObject *self, PyObject *unused) {
    (void)unused;
    if (check_not_empty(queue_of(self)) < 0)
        return NULL;
    struct packet *packet = flow_queue_pop(queue_of(self));
    PyObject *bytes = PyBytes_FromStringAndSize((const char *)packet->data, packet->size);
    packet_free(packet);
    return bytes;
}

static PyObject *get_flows(PyObject *self, void *unused) {
    (void)unused;
    return PyLong_FromSize_t(queue_of(self)->flows);
}

static PyMemberDef members[] = {
    {"limit", T_LONGLONG, offsetof(struct flow_queue_object, queue.limit), 0, NULL},
    {"bytes", T_LONGLONG, offsetof(struct flow_queue_object, queue.bytes), READONLY, NULL},
    {NULL},
};

static PyGetSetDef properties[] = {
    {"flows", get_flows, NULL, NULL, NULL},
    {NULL},
};

static PyMethodDef methods[] = {
    {"push", push, METH_VARARGS, NULL}, {"put_back", put_back, METH_VARARGS, NULL},
    {"trim", trim, METH_NOARGS, NULL},  {"next_size", next_size, METH_NOARGS, NULL},
    {"pop", pop, METH_NOARGS, NULL},    {NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_init, init},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_dealloc, dealloc},
    {Py_tp_members, members},
    {Py_tp_getset, properties},
    {Py_tp_methods, methods},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "mlvpnd.dataplane._native.FlowQueue",
    .basicsize = sizeof(struct flow_queue_object),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = slots,
};

int native_add_flow_queue(PyObject *module) {
    native_FlowQueue_type = (PyTypeObject *)PyType_FromSpec(&spec);
    return native_FlowQueue_type ? PyModule_AddObjectRef(module, "FlowQueue", (PyObject *)native_FlowQueue_type) : -1;
}
