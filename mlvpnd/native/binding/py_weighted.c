#include "binding/py_weighted.h"

PyTypeObject *native_WeightedScheduler_type;

static struct weighted *weighted_of(PyObject *self) {
    return &((struct weighted_object *)self)->weighted;
}

static int init(PyObject *self, PyObject *args, PyObject *names) {
    static char *keywords[] = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, names, "", keywords))
        return -1;
    weighted_end(weighted_of(self));
    return 0;
}

static void dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    weighted_end(weighted_of(self));
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *set_links(PyObject *self, PyObject *mapping) {
    PyObject *items = PyMapping_Items(mapping);
    if (!items)
        return NULL;
    Py_ssize_t count = PyList_GET_SIZE(items);
    struct weighted_link *links = PyMem_Calloc((size_t)count + 1, sizeof *links);
    bool done = links;
    if (!done)
        PyErr_NoMemory();
    for (Py_ssize_t i = 0; done && i < count; i++) {
        int number;
        long long weight;
        done = PyArg_ParseTuple(PyList_GET_ITEM(items, i), "iL", &number, &weight);
        if (done && (number < 0 || weight < 1 || weight > WEIGHTED_MAX_WEIGHT)) {
            PyErr_SetString(PyExc_ValueError, "a link's number is not negative, its weight is 1 to 2**32");
            done = false;
        }
        links[i].number = (int32_t)number;
        links[i].weight = weight;
    }
    if (done && !weighted_set_links(weighted_of(self), links, (size_t)count)) {
        PyErr_NoMemory();
        done = false;
    }
    PyMem_Free(links);
    Py_DECREF(items);
    return done ? Py_NewRef(Py_None) : NULL;
}

static PyObject *begin_burst(PyObject *self, PyObject *number) {
    size_t packets = PyLong_AsSize_t(number);
    if (packets == (size_t)-1 && PyErr_Occurred())
        return NULL;
    weighted_begin_burst(weighted_of(self), packets);
    Py_RETURN_NONE;
}

static PyObject *pick(PyObject *self, PyObject *number) {
    long size = PyLong_AsLong(number);
    if (size == -1 && PyErr_Occurred())
        return NULL;
    if (size < 0 || size > UINT32_MAX) {
        PyErr_SetString(PyExc_OverflowError, "no packet has such a size");
        return NULL;
    }
    int32_t picked = weighted_pick(weighted_of(self), (uint32_t)size);
    return picked < 0 ? Py_NewRef(Py_None) : PyLong_FromLong(picked);
}

static PyObject *get_links(PyObject *self, void *unused) {
    (void)unused;
    const struct weighted *weighted = weighted_of(self);
    PyObject *links = PyTuple_New((Py_ssize_t)weighted->count);
    for (size_t i = 0; links && i < weighted->count; i++) {
        PyObject *number = PyLong_FromLong(weighted->links[i].number);
        if (number)
            PyTuple_SET_ITEM(links, (Py_ssize_t)i, number);
        else
            Py_CLEAR(links);
    }
    return links;
}

static PyGetSetDef properties[] = {
    {"links", get_links, NULL, NULL, NULL},
    {NULL},
};

static PyMethodDef methods[] = {
    {"set_links", set_links, METH_O, NULL},
    {"begin_burst", begin_burst, METH_O, NULL},
    {"pick", pick, METH_O, NULL},
    {NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_init, init},         {Py_tp_new, PyType_GenericNew}, {Py_tp_dealloc, dealloc},
    {Py_tp_getset, properties}, {Py_tp_methods, methods},       {0, NULL},
};

static PyType_Spec spec = {
    .name = "mlvpnd.dataplane._native.WeightedScheduler",
    .basicsize = sizeof(struct weighted_object),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = slots,
};

int native_add_weighted(PyObject *module) {
    native_WeightedScheduler_type = (PyTypeObject *)PyType_FromSpec(&spec);
    if (!native_WeightedScheduler_type)
        return -1;
    return PyModule_AddObjectRef(module, "WeightedScheduler", (PyObject *)native_WeightedScheduler_type);
}
