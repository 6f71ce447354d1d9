#include "binding/py_flow_index.h"

#include "binding/py_replay.h"

PyTypeObject *native_FlowIndex_type;

#define SELF ((struct flow_index_object *)self)

static PyObject *new(PyTypeObject *type, PyObject *args, PyObject *names) {
    static char *keywords[] = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, names, "", keywords))
        return NULL;
    PyObject *self = type->tp_alloc(type, 0);
    if (self && !(SELF->flows = PyDict_New()))
        Py_CLEAR(self);
    return self;
}

static void dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    flow_index_end(&SELF->index);
    Py_XDECREF(SELF->flows);
    type->tp_free(self);
    Py_DECREF(type);
}

static int id_of(PyObject *number, uint32_t *flow_id) {
    unsigned long value = PyLong_AsUnsignedLong(number);
    if (value == (unsigned long)-1 && PyErr_Occurred())
        return -1;
    *flow_id = (uint32_t)value;
    return 0;
}

static PyObject *put(PyObject *self, PyObject *object) {
    if (!PyObject_TypeCheck(object, native_PeerFlow_type)) {
        PyErr_SetString(PyExc_TypeError, "a native PeerFlow expected");
        return NULL;
    }
    struct peer_flow *flow = &((struct peer_flow_object *)object)->flow;
    PyObject *key = PyLong_FromUnsignedLong(flow->flow_id);
    int kept = key ? PyDict_SetItem(SELF->flows, key, object) : -1;
    Py_XDECREF(key);
    if (kept < 0)
        return NULL;
    if (!flow_index_put(&SELF->index, flow->flow_id, flow))
        return PyErr_NoMemory();
    Py_RETURN_NONE;
}

static PyObject *put_own(PyObject *self, PyObject *number) {
    uint32_t flow_id;
    if (id_of(number, &flow_id) < 0)
        return NULL;
    if (!flow_index_put(&SELF->index, flow_id, NULL))
        return PyErr_NoMemory();
    Py_RETURN_NONE;
}

static PyObject *forget(PyObject *self, PyObject *number) {
    uint32_t flow_id;
    if (id_of(number, &flow_id) < 0)
        return NULL;
    flow_index_forget(&SELF->index, flow_id);
    int there = PyDict_Contains(SELF->flows, number);
    if (there < 0 || (there && PyDict_DelItem(SELF->flows, number) < 0))
        return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"put", put, METH_O, NULL},
    {"put_own", put_own, METH_O, NULL},
    {"forget", forget, METH_O, NULL},
    {NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_new, new},
    {Py_tp_dealloc, dealloc},
    {Py_tp_methods, methods},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "mlvpnd.dataplane._native.FlowIndex",
    .basicsize = sizeof(struct flow_index_object),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = slots,
};

int native_add_flow_index(PyObject *module) {
    native_FlowIndex_type = native_add_type(module, &spec);
    return native_FlowIndex_type ? 0 : -1;
}
