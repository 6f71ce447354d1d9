#include "binding/py_copies.h"

PyTypeObject *native_CopyFilter_type;

static inline struct copy_filter *copies_of(PyObject *self) {
    return &((struct copy_filter_object *)self)->copies;
}

static PyObject *new(PyTypeObject *type, PyObject *args, PyObject *names) {
    static char *keywords[] = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, names, "", keywords))
        return NULL;
    PyObject *self = type->tp_alloc(type, 0);
    if (self)
        copies_begin(copies_of(self));
    return self;
}

static PyObject *is_first(PyObject *self, PyObject *number) {
    uint64_t value;
    if (native_u64(number, &value) < 0)
        return NULL;
    return PyBool_FromLong(copies_is_first(copies_of(self), value));
}

static PyMethodDef methods[] = {
    {"is_first", is_first, METH_O, NULL},
    {NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_new, new},
    {Py_tp_methods, methods},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "mlvpnd.dataplane._native.CopyFilter",
    .basicsize = sizeof(struct copy_filter_object),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = slots,
};

int native_add_copies(PyObject *module) {
    native_CopyFilter_type = native_add_type(module, &spec);
    return native_CopyFilter_type ? 0 : -1;
}
