#include "binding/py_transit.h"

PyTypeObject *native_Transit_type, *native_Disorder_type;

/* Transit */

static inline struct transit *transit_of(PyObject *self) {
    return &((struct transit_object *)self)->transit;
}

static PyObject *transit_new(PyTypeObject *type, PyObject *args, PyObject *names) {
    static char *keywords[] = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, names, "", keywords))
        return NULL;
    PyObject *self = type->tp_alloc(type, 0);
    if (self)
        transit_begin(transit_of(self));
    return self;
}

static PyObject *py_transit_received(PyObject *self, PyObject *args) {
    unsigned short timestamp;
    double now;
    if (!PyArg_ParseTuple(args, "Hd", &timestamp, &now))
        return NULL;
    return PyBool_FromLong(transit_received(transit_of(self), timestamp, now));
}

static PyObject *py_transit_note(PyObject *self, PyObject *nothing) {
    (void)nothing;
    transit_note(transit_of(self));
    Py_RETURN_NONE;
}

static PyObject *py_transit_forget_high(PyObject *self, PyObject *nothing) {
    (void)nothing;
    transit_forget_high(transit_of(self));
    Py_RETURN_NONE;
}

static PyObject *low_ms(PyObject *self, void *closure) {
    (void)closure;
    return PyFloat_FromDouble(transit_low_ms(transit_of(self)));
}

static PyObject *rise_ms(PyObject *self, void *closure) {
    (void)closure;
    return PyFloat_FromDouble(transit_rise_ms(transit_of(self)));
}

static PyMemberDef transit_members[] = {
    {"has_sample", T_BOOL, offsetof(struct transit_object, transit.has_sample), READONLY, NULL},
    {NULL},
};

static PyGetSetDef transit_properties[] = {
    {"low_ms", low_ms, NULL, NULL, NULL},
    {"rise_ms", rise_ms, NULL, NULL, NULL},
    {NULL},
};

static PyMethodDef transit_methods[] = {
    {"received", py_transit_received, METH_VARARGS, NULL},
    {"note", py_transit_note, METH_NOARGS, NULL},
    {"forget_high", py_transit_forget_high, METH_NOARGS, NULL},
    {NULL},
};

static PyType_Slot transit_slots[] = {
    {Py_tp_new, transit_new},
    {Py_tp_members, transit_members},
    {Py_tp_getset, transit_properties},
    {Py_tp_methods, transit_methods},
    {0, NULL},
};

static PyType_Spec transit_spec = {
    .name = "mlvpnd.dataplane._native.Transit",
    .basicsize = sizeof(struct transit_object),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = transit_slots,
};

static PyObject *spread_ms(PyObject *module, PyObject *transits) {
    (void)module;
    PyObject *list = PySequence_List(transits); /* a copy: nobody else can change it */
    if (!list)
        return NULL;
    Py_ssize_t count = PyList_GET_SIZE(list);
    const struct transit **structs = PyMem_New(const struct transit *, count);
    PyObject *spread = NULL;
    Py_ssize_t at = 0;
    while (structs && at < count && Py_IS_TYPE(PyList_GET_ITEM(list, at), native_Transit_type)) {
        structs[at] = transit_of(PyList_GET_ITEM(list, at));
        at++;
    }
    if (!structs)
        PyErr_NoMemory();
    else if (at < count)
        PyErr_SetString(PyExc_TypeError, "native Transits expected");
    else
        spread = PyFloat_FromDouble(transit_spread_ms(structs, (size_t)count));
    PyMem_Free(structs);
    Py_DECREF(list);
    return spread;
}

static PyMethodDef functions[] = {
    {"spread_ms", spread_ms, METH_O, NULL},
    {NULL},
};

/* Disorder */

static inline struct disorder *disorder_of(PyObject *self) {
    return &((struct disorder_object *)self)->disorder;
}

static PyObject *disorder_new(PyTypeObject *type, PyObject *args, PyObject *names) {
    static char *keywords[] = {"newest", NULL};
    unsigned long long newest;
    if (!PyArg_ParseTupleAndKeywords(args, names, "K", keywords, &newest))
        return NULL;
    PyObject *self = type->tp_alloc(type, 0);
    if (self)
        disorder_begin(disorder_of(self), newest);
    return self;
}

static PyObject *py_disorder_received(PyObject *self, PyObject *args) {
    unsigned long long seq;
    double now;
    if (!PyArg_ParseTuple(args, "Kd", &seq, &now))
        return NULL;
    return PyBool_FromLong(disorder_received(disorder_of(self), seq, now));
}

static PyObject *py_disorder_seconds(PyObject *self, PyObject *number) {
    double now = PyFloat_AsDouble(number);
    if (now == -1.0 && PyErr_Occurred())
        return NULL;
    return PyFloat_FromDouble(disorder_seconds(disorder_of(self), now));
}

static PyMethodDef disorder_methods[] = {
    {"received", py_disorder_received, METH_VARARGS, NULL},
    {"seconds", py_disorder_seconds, METH_O, NULL},
    {NULL},
};

static PyType_Slot disorder_slots[] = {
    {Py_tp_new, disorder_new},
    {Py_tp_methods, disorder_methods},
    {0, NULL},
};

static PyType_Spec disorder_spec = {
    .name = "mlvpnd.dataplane._native.Disorder",
    .basicsize = sizeof(struct disorder_object),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = disorder_slots,
};

int native_add_transit(PyObject *module) {
    native_Transit_type = native_add_type(module, &transit_spec);
    if (!native_Transit_type)
        return -1;
    native_Disorder_type = native_add_type(module, &disorder_spec);
    if (!native_Disorder_type)
        return -1;
    return PyModule_AddFunctions(module, functions);
}
