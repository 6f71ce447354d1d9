#include "binding/py_stretch.h"

PyTypeObject *native_Stretch_type;

static struct stretch *stretch_of(PyObject *self) {
    return &((struct stretch_object *)self)->stretch;
}

static int init(PyObject *self, PyObject *args, PyObject *names) {
    static char *keywords[] = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, names, "", keywords))
        return -1;
    stretch_begin(stretch_of(self));
    return 0;
}

static void dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static int is_stretching(PyObject *self) {
    return stretch_of(self)->count > 0;
}

static int read_time(PyObject *number, int64_t *now) {
    *now = PyLong_AsLongLong(number);
    return *now == -1 && PyErr_Occurred() ? -1 : 0;
}

static PyObject *delay(PyObject *self, PyObject *number) {
    int64_t now;
    return read_time(number, &now) < 0 ? NULL : PyLong_FromLongLong(stretch_delay(stretch_of(self), now));
}

static PyObject *is_settling(PyObject *self, PyObject *number) {
    int64_t now;
    return read_time(number, &now) < 0 ? NULL : PyBool_FromLong(stretch_is_settling(stretch_of(self), now));
}

static PyObject *forget(PyObject *self, PyObject *number) {
    int64_t now;
    if (read_time(number, &now) < 0)
        return NULL;
    stretch_forget(stretch_of(self), now);
    Py_RETURN_NONE;
}

static PyObject *admit(PyObject *self, PyObject *args) {
    PyObject *number;
    unsigned size;
    long long now, carried, rate;
    uint64_t flow;
    if (!PyArg_ParseTuple(args, "OILLL", &number, &size, &now, &carried, &rate) || native_u64(number, &flow) < 0)
        return NULL;
    return PyBool_FromLong(stretch_admit(stretch_of(self), (uint32_t)flow, size, now, carried, rate));
}

static PyMethodDef methods[] = {
    {"delay", delay, METH_O, NULL},
    {"is_settling", is_settling, METH_O, NULL},
    {"forget", forget, METH_O, NULL},
    {"admit", admit, METH_VARARGS, NULL},
    {NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_init, init},          {Py_tp_new, PyType_GenericNew}, {Py_tp_dealloc, dealloc},
    {Py_nb_bool, is_stretching}, {Py_tp_methods, methods},       {0, NULL},
};

static PyType_Spec spec = {
    .name = "mlvpnd.dataplane._native.Stretch",
    .basicsize = sizeof(struct stretch_object),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = slots,
};

int native_add_stretch(PyObject *module) {
    native_Stretch_type = native_add_type(module, &spec);
    return native_Stretch_type ? 0 : -1;
}
