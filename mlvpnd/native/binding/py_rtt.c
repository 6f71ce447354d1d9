#include "binding/py_rtt.h"

PyTypeObject *native_RttEstimator_type, *native_StampEcho_type;

/* RttEstimator */

static inline struct rtt_estimator *rtt_of(PyObject *self) {
    return &((struct rtt_estimator_object *)self)->rtt;
}

static PyObject *rtt_new(PyTypeObject *type, PyObject *args, PyObject *names) {
    static char *keywords[] = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, names, "", keywords))
        return NULL;
    PyObject *self = type->tp_alloc(type, 0);
    if (self)
        rtt_begin(rtt_of(self));
    return self;
}

static PyObject *update(PyObject *self, PyObject *number) {
    double sample = PyFloat_AsDouble(number);
    if (sample == -1.0 && PyErr_Occurred())
        return NULL;
    rtt_update(rtt_of(self), sample);
    Py_RETURN_NONE;
}

static PyObject *rtt_take(PyObject *self, PyObject *args) {
    unsigned short reply;
    double now;
    if (!PyArg_ParseTuple(args, "Hd", &reply, &now))
        return NULL;
    rtt_received(rtt_of(self), reply, now);
    Py_RETURN_NONE;
}

static PyMemberDef rtt_members[] = {
    {"has_sample", T_BOOL, offsetof(struct rtt_estimator_object, rtt.has_sample), READONLY, NULL},
    {"srtt_ms", T_DOUBLE, offsetof(struct rtt_estimator_object, rtt.srtt_ms), READONLY, NULL},
    {"rttvar_ms", T_DOUBLE, offsetof(struct rtt_estimator_object, rtt.rttvar_ms), READONLY, NULL},
    {"min_rtt_ms", T_DOUBLE, offsetof(struct rtt_estimator_object, rtt.min_rtt_ms), READONLY, NULL},
    {"echoed_at", T_DOUBLE, offsetof(struct rtt_estimator_object, rtt.echoed_at), READONLY, NULL},
    {"unechoed", T_ULONGLONG, offsetof(struct rtt_estimator_object, rtt.unechoed), READONLY, NULL},
    {NULL},
};

static PyMethodDef rtt_methods[] = {
    {"update", update, METH_O, NULL},
    {"received", rtt_take, METH_VARARGS, NULL},
    {NULL},
};

static PyType_Slot rtt_slots[] = {
    {Py_tp_new, rtt_new},
    {Py_tp_members, rtt_members},
    {Py_tp_methods, rtt_methods},
    {0, NULL},
};

static PyType_Spec rtt_spec = {
    .name = "mlvpnd.dataplane._native.RttEstimator",
    .basicsize = sizeof(struct rtt_estimator_object),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = rtt_slots,
};

/* StampEcho */

static inline struct stamp_echo *echo_of(PyObject *self) {
    return &((struct stamp_echo_object *)self)->echo;
}

static PyObject *echo_new(PyTypeObject *type, PyObject *args, PyObject *names) {
    static char *keywords[] = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, names, "", keywords))
        return NULL;
    PyObject *self = type->tp_alloc(type, 0);
    if (self)
        echo_begin(echo_of(self));
    return self;
}

static PyObject *received(PyObject *self, PyObject *args) {
    unsigned short timestamp;
    double now;
    if (!PyArg_ParseTuple(args, "Hd", &timestamp, &now))
        return NULL;
    echo_received(echo_of(self), timestamp, now);
    Py_RETURN_NONE;
}

static PyObject *take(PyObject *self, PyObject *number) {
    double now = PyFloat_AsDouble(number);
    if (now == -1.0 && PyErr_Occurred())
        return NULL;
    return PyLong_FromLong(echo_take(echo_of(self), now));
}

static PyMethodDef echo_methods[] = {
    {"received", received, METH_VARARGS, NULL},
    {"take", take, METH_O, NULL},
    {NULL},
};

static PyType_Slot echo_slots[] = {
    {Py_tp_new, echo_new},
    {Py_tp_methods, echo_methods},
    {0, NULL},
};

static PyType_Spec echo_spec = {
    .name = "mlvpnd.dataplane._native.StampEcho",
    .basicsize = sizeof(struct stamp_echo_object),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = echo_slots,
};

/* Functions */

static PyObject *stamp(PyObject *module, PyObject *number) {
    (void)module;
    double now = PyFloat_AsDouble(number);
    if (now == -1.0 && PyErr_Occurred())
        return NULL;
    return PyLong_FromLong(rtt_stamp(now));
}

static PyObject *sample_ms(PyObject *module, PyObject *args) {
    (void)module;
    unsigned short reply;
    double now;
    if (!PyArg_ParseTuple(args, "Hd", &reply, &now))
        return NULL;
    int32_t sample = rtt_sample_ms(reply, now);
    if (sample < 0)
        Py_RETURN_NONE;
    return PyLong_FromLong(sample);
}

static PyMethodDef functions[] = {
    {"stamp", stamp, METH_O, NULL},
    {"sample_ms", sample_ms, METH_VARARGS, NULL},
    {NULL},
};

int native_add_rtt(PyObject *module) {
    native_RttEstimator_type = native_add_type(module, &rtt_spec);
    if (!native_RttEstimator_type)
        return -1;
    native_StampEcho_type = native_add_type(module, &echo_spec);
    if (!native_StampEcho_type)
        return -1;
    return PyModule_AddFunctions(module, functions);
}
