#include "native.h"
#include "replay.h"

struct replay_window_object {
    PyObject_HEAD
    struct replay_window window;
};

static int init(PyObject *self, PyObject *args, PyObject *names) {
    static char *keywords[] = {"first", NULL};
    unsigned long long first;
    if (!PyArg_ParseTupleAndKeywords(args, names, "K", keywords, &first))
        return -1;
    replay_begin(&((struct replay_window_object *)self)->window, first);
    return 0;
}

static PyObject *may_accept(PyObject *self, PyObject *number) {
    uint64_t seq;
    if (native_u64(number, &seq) < 0)
        return NULL;
    return PyBool_FromLong(replay_may_accept(&((struct replay_window_object *)self)->window, seq));
}

static PyObject *accept(PyObject *self, PyObject *number) {
    uint64_t seq;
    if (native_u64(number, &seq) < 0)
        return NULL;
    return PyBool_FromLong(replay_accept(&((struct replay_window_object *)self)->window, seq));
}

static PyMemberDef members[] = {
    {"newest", T_ULONGLONG, offsetof(struct replay_window_object, window.newest), READONLY, NULL},
    {NULL},
};

static PyMethodDef methods[] = {
    {"may_accept", may_accept, METH_O, NULL},
    {"accept", accept, METH_O, NULL},
    {NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_init, init},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_members, members},
    {Py_tp_methods, methods},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "mlvpnd.dataplane._native.ReplayWindow",
    .basicsize = sizeof(struct replay_window_object),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = slots,
};

int native_add_replay(PyObject *module) {
    PyObject *type = PyType_FromSpec(&spec);
    int added = type ? PyModule_AddObjectRef(module, "ReplayWindow", type) : -1;
    Py_XDECREF(type);
    return added;
}
