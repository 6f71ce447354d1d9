#include "binding/py_retransmissions.h"

#include <sodium.h>

PyTypeObject *native_Retransmissions_type;

static struct retransmissions *seen_of(PyObject *self) {
    return &((struct retransmissions_object *)self)->seen;
}

static int init(PyObject *self, PyObject *args, PyObject *names) {
    static char *keywords[] = {NULL};
    uint8_t key[RETRANSMISSIONS_KEY];
    if (!PyArg_ParseTupleAndKeywords(args, names, "", keywords))
        return -1;
    randombytes_buf(key, sizeof key);
    retransmissions_end(seen_of(self));
    retransmissions_begin(seen_of(self), key);
    return 0;
}

static void dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    retransmissions_end(seen_of(self));
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *sent(PyObject *self, PyObject *args) {
    int link;
    const char *name;
    Py_ssize_t size;
    long long length;
    if (!PyArg_ParseTuple(args, "iy#L", &link, &name, &size, &length))
        return NULL;
    if (size > INNER_LONGEST_NAME) {
        PyErr_SetString(PyExc_ValueError, "no segment has such a long name");
        return NULL;
    }
    retransmissions_sent(seen_of(self), link, (const uint8_t *)name, (size_t)size, length);
    Py_RETURN_NONE;
}

static PyObject *share(PyObject *self, PyObject *number) {
    int link = (int)PyLong_AsLong(number);
    if (link == -1 && PyErr_Occurred())
        return NULL;
    return PyFloat_FromDouble(retransmissions_share(seen_of(self), link));
}

static PyObject *get_harmful(PyObject *self, void *unused) {
    (void)unused;
    const struct retransmissions *seen = seen_of(self);
    PyObject *harmful = PyFrozenSet_New(NULL);
    for (size_t i = 0; harmful && i < seen->count; i++) {
        if (!seen->links[i].harmful)
            continue;
        PyObject *number = PyLong_FromLong(seen->links[i].number);
        if (!number || PySet_Add(harmful, number) < 0)
            Py_CLEAR(harmful);
        Py_XDECREF(number);
    }
    return harmful;
}

static PyObject *judge(PyObject *self, PyObject *args) {
    PyObject *mapping;
    double now;
    if (!PyArg_ParseTuple(args, "Od", &mapping, &now))
        return NULL;
    PyObject *items = PyMapping_Items(mapping);
    if (!items)
        return NULL;
    Py_ssize_t count = PyList_GET_SIZE(items);
    struct retransmissions_rate *rates = PyMem_Calloc((size_t)count + 1, sizeof *rates);
    bool done = rates;
    if (!done)
        PyErr_NoMemory();
    for (Py_ssize_t i = 0; done && i < count; i++) {
        int number;
        long long rate;
        done = PyArg_ParseTuple(PyList_GET_ITEM(items, i), "iL", &number, &rate);
        if (done && rate < 1) {
            PyErr_SetString(PyExc_ValueError, "a link's rate is at least 1");
            done = false;
        }
        rates[i] = (struct retransmissions_rate){.number = number, .rate = rate};
    }
    if (done && !retransmissions_judge(seen_of(self), rates, (size_t)count, now)) {
        PyErr_NoMemory();
        done = false;
    }
    PyMem_Free(rates);
    Py_DECREF(items);
    return done ? get_harmful(self, NULL) : NULL;
}

static PyGetSetDef properties[] = {
    {"harmful", get_harmful, NULL, NULL, NULL},
    {NULL},
};

static PyMethodDef methods[] = {
    {"sent", sent, METH_VARARGS, NULL},
    {"share", share, METH_O, NULL},
    {"judge", judge, METH_VARARGS, NULL},
    {NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_init, init},         {Py_tp_new, PyType_GenericNew}, {Py_tp_dealloc, dealloc},
    {Py_tp_getset, properties}, {Py_tp_methods, methods},       {0, NULL},
};

static PyType_Spec spec = {
    .name = "mlvpnd.dataplane._native.Retransmissions",
    .basicsize = sizeof(struct retransmissions_object),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = slots,
};

int native_add_retransmissions(PyObject *module) {
    native_Retransmissions_type = (PyTypeObject *)PyType_FromSpec(&spec);
    if (!native_Retransmissions_type)
        return -1;
    return PyModule_AddObjectRef(module, "Retransmissions", (PyObject *)native_Retransmissions_type);
}
