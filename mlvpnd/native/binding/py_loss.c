#include "binding/py_loss.h"

enum { NOWHERE = -2 * (1 << 17) }; /* the reference's `newest` during a pause */

PyTypeObject *native_LossMeter_type;

static inline struct loss_meter *meter_of(PyObject *self) {
    return &((struct loss_meter_object *)self)->meter;
}

static PyObject *new(PyTypeObject *type, PyObject *args, PyObject *names) {
    static char *keywords[] = {"first", NULL};
    unsigned long long first;
    if (!PyArg_ParseTupleAndKeywords(args, names, "K", keywords, &first))
        return NULL;
    PyObject *self = type->tp_alloc(type, 0);
    if (self)
        loss_begin(meter_of(self), first);
    return self;
}

static PyObject *received(PyObject *self, PyObject *args, PyObject *names) {
    static char *keywords[] = {"seq", "now", "others", NULL};
    unsigned long long seq;
    double now;
    long long others = 0;
    if (!PyArg_ParseTupleAndKeywords(args, names, "Kd|L", keywords, &seq, &now, &others))
        return NULL;
    loss_received(meter_of(self), seq, now, others);
    Py_RETURN_NONE;
}

static PyObject *py_pause(PyObject *self, PyObject *number) {
    double until = PyFloat_AsDouble(number);
    if (until == -1.0 && PyErr_Occurred())
        return NULL;
    loss_pause(meter_of(self), until);
    Py_RETURN_NONE;
}

static PyObject *newest(PyObject *self, void *closure) {
    (void)closure;
    const struct loss_meter *meter = meter_of(self);
    return meter->nowhere ? PyLong_FromLong(NOWHERE) : PyLong_FromUnsignedLongLong(meter->newest);
}

static PyObject *sent(PyObject *self, void *closure) {
    (void)closure;
    return PyLong_FromUnsignedLongLong(loss_sent(meter_of(self)));
}

static PyObject *lost(PyObject *self, void *closure) {
    (void)closure;
    return PyLong_FromLongLong(loss_lost(meter_of(self)));
}

static PyObject *percent(PyObject *self, void *closure) {
    (void)closure;
    return PyLong_FromLongLong(loss_percent(meter_of(self)));
}

static PyGetSetDef properties[] = {
    {"newest", newest, NULL, NULL, NULL},
    {"sent", sent, NULL, NULL, NULL},
    {"lost", lost, NULL, NULL, NULL},
    {"percent", percent, NULL, NULL, NULL},
    {NULL},
};

static PyMethodDef methods[] = {
    {"received", (PyCFunction)(void (*)(void))received, METH_VARARGS | METH_KEYWORDS, NULL},
    {"pause", py_pause, METH_O, NULL},
    {NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_new, new},
    {Py_tp_getset, properties},
    {Py_tp_methods, methods},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "mlvpnd.dataplane._native.LossMeter",
    .basicsize = sizeof(struct loss_meter_object),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = slots,
};

int native_add_loss(PyObject *module) {
    native_LossMeter_type = native_add_type(module, &spec);
    return native_LossMeter_type ? 0 : -1;
}
