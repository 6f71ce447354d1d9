#include "binding/py_replay.h"

PyTypeObject *native_ReplayWindow_type, *native_ClearWindow_type, *native_PeerFlow_type;

/* ReplayWindow */

static inline struct replay_window *window_of(PyObject *self) {
    return &((struct replay_window_object *)self)->window;
}

static PyObject *window_new(PyTypeObject *type, PyObject *args, PyObject *names) {
    static char *keywords[] = {"first", NULL};
    unsigned long long first;
    if (!PyArg_ParseTupleAndKeywords(args, names, "K", keywords, &first))
        return NULL;
    PyObject *self = type->tp_alloc(type, 0);
    if (self)
        replay_begin(window_of(self), first);
    return self;
}

static PyObject *window_restored(PyObject *type, PyObject *args, PyObject *names) {
    static char *keywords[] = {"newest", "seen", NULL};
    unsigned long long newest;
    PyObject *seen;
    if (!PyArg_ParseTupleAndKeywords(args, names, "KO!", keywords, &newest, &PyLong_Type, &seen))
        return NULL;
    uint64_t words[REPLAY_WORDS];
    PyObject *width = PyLong_FromLong(64);
    Py_INCREF(seen);
    for (int at = 0; at < REPLAY_WORDS && width && seen; at++) {
        words[at] = PyLong_AsUnsignedLongLongMask(seen);
        Py_SETREF(seen, PyNumber_Rshift(seen, width));
    }
    PyObject *self = width && seen ? ((PyTypeObject *)type)->tp_alloc((PyTypeObject *)type, 0) : NULL;
    Py_XDECREF(width);
    Py_XDECREF(seen);
    if (self)
        replay_restore(window_of(self), newest, words);
    return self;
}

static PyObject *window_seen(PyObject *self, void *closure) {
    (void)closure;
    uint64_t words[REPLAY_WORDS];
    replay_seen(window_of(self), words);
    PyObject *width = PyLong_FromLong(64), *seen = width ? PyLong_FromLong(0) : NULL;
    for (int at = REPLAY_WORDS - 1; at >= 0 && seen; at--) {
        PyObject *word = PyLong_FromUnsignedLongLong(words[at]);
        Py_SETREF(seen, word ? PyNumber_Lshift(seen, width) : NULL);
        if (seen)
            Py_SETREF(seen, PyNumber_Or(seen, word));
        Py_XDECREF(word);
    }
    Py_XDECREF(width);
    return seen;
}

static PyObject *window_may_accept(PyObject *self, PyObject *number) {
    uint64_t seq;
    if (native_u64(number, &seq) < 0)
        return NULL;
    return PyBool_FromLong(replay_may_accept(window_of(self), seq));
}

static PyObject *window_accept(PyObject *self, PyObject *number) {
    uint64_t seq;
    if (native_u64(number, &seq) < 0)
        return NULL;
    return PyBool_FromLong(replay_accept(window_of(self), seq));
}

static PyMemberDef window_members[] = {
    {"newest", T_ULONGLONG, offsetof(struct replay_window_object, window.newest), READONLY, NULL},
    {NULL},
};

static PyGetSetDef window_properties[] = {
    {"seen", window_seen, NULL, NULL, NULL},
    {NULL},
};

static PyMethodDef window_methods[] = {
    {"restored", (PyCFunction)(void (*)(void))window_restored, METH_VARARGS | METH_KEYWORDS | METH_CLASS, NULL},
    {"may_accept", window_may_accept, METH_O, NULL},
    {"accept", window_accept, METH_O, NULL},
    {NULL},
};

static PyType_Slot window_slots[] = {
    {Py_tp_new, window_new},
    {Py_tp_members, window_members},
    {Py_tp_getset, window_properties},
    {Py_tp_methods, window_methods},
    {0, NULL},
};

static PyType_Spec window_spec = {
    .name = "mlvpnd.dataplane._native.ReplayWindow",
    .basicsize = sizeof(struct replay_window_object),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = window_slots,
};

/* ClearWindow */

static inline struct clear_window *clear_of(PyObject *self) {
    return &((struct clear_window_object *)self)->window;
}

static PyObject *clear_new(PyTypeObject *type, PyObject *args, PyObject *names) {
    static char *keywords[] = {"newest_authentic", "size", NULL};
    unsigned long long newest;
    int size = PROTOCOL_CLEAR_WINDOW_SIZE;
    if (!PyArg_ParseTupleAndKeywords(args, names, "K|i", keywords, &newest, &size))
        return NULL;
    if (size < 8 || size & (size - 1)) {
        PyErr_SetString(PyExc_ValueError, "the size of a clear window is a power of two, 8 at least");
        return NULL;
    }
    PyObject *self = type->tp_alloc(type, 0);
    if (self && !clear_begin(clear_of(self), newest, (uint64_t)size)) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    return self;
}

static PyObject *clear_restored(PyObject *type, PyObject *args) {
    PyObject *number;
    Py_buffer octets;
    if (!PyArg_ParseTuple(args, "O!y*", &PyLong_Type, &number, &octets))
        return NULL;
    PyObject *self = NULL;
    uint64_t base = PyLong_AsUnsignedLongLong(number);
    bool is_number = !PyErr_Occurred();
    PyErr_Clear();
    if (!is_number || base % 8 || octets.len > PROTOCOL_CLEAR_WINDOW_SIZE / 8)
        PyErr_SetString(PyExc_ValueError, "no such clear window");
    else if ((self = ((PyTypeObject *)type)->tp_alloc((PyTypeObject *)type, 0)) &&
             !clear_restore(clear_of(self), base, octets.buf, (size_t)octets.len)) {
        Py_CLEAR(self);
        PyErr_NoMemory();
    }
    PyBuffer_Release(&octets);
    return self;
}

static PyObject *py_clear_seen(PyObject *self, void *closure) {
    (void)closure;
    const struct clear_window *window = clear_of(self);
    PyObject *octets = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(window->size / 8));
    if (octets)
        clear_seen(window, (uint8_t *)PyBytes_AS_STRING(octets));
    return octets;
}

static PyObject *py_clear_base(PyObject *self, void *closure) {
    (void)closure;
    return PyLong_FromUnsignedLongLong(clear_of(self)->base);
}

static PyGetSetDef clear_properties[] = {
    {"base", py_clear_base, NULL, NULL, NULL},
    {"seen", py_clear_seen, NULL, NULL, NULL},
    {NULL},
};

static void clear_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    clear_end(clear_of(self));
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *py_clear_anchor(PyObject *self, PyObject *number) {
    uint64_t newest;
    if (native_u64(number, &newest) < 0)
        return NULL;
    clear_anchor(clear_of(self), newest);
    Py_RETURN_NONE;
}

static PyObject *py_clear_accept(PyObject *self, PyObject *number) {
    uint64_t seq;
    if (native_u64(number, &seq) < 0)
        return NULL;
    return PyBool_FromLong(clear_accept(clear_of(self), seq));
}

/* A border of a range of numbers; a border beyond 64 bits becomes the least or greatest number. */
static int border(PyObject *number, uint64_t *value) {
    PyObject *zero = PyLong_FromLong(0);
    int negative = zero ? PyObject_RichCompareBool(number, zero, Py_LT) : -1;
    Py_XDECREF(zero);
    if (negative) {
        *value = 0;
        return negative < 0 ? -1 : 0;
    }
    *value = PyLong_AsUnsignedLongLong(number);
    if (*value == UINT64_MAX && PyErr_Occurred()) {
        if (!PyErr_ExceptionMatches(PyExc_OverflowError))
            return -1;
        PyErr_Clear();
    }
    return 0;
}

static PyObject *py_clear_count(PyObject *self, PyObject *args) {
    PyObject *numbers[2];
    uint64_t first, end;
    if (!PyArg_ParseTuple(args, "OO", &numbers[0], &numbers[1]) || border(numbers[0], &first) < 0 ||
        border(numbers[1], &end) < 0)
        return NULL;
    return PyLong_FromUnsignedLongLong(clear_count(clear_of(self), first, end));
}

static PyMethodDef clear_methods[] = {
    {"restored", clear_restored, METH_VARARGS | METH_CLASS, NULL},
    {"anchor", py_clear_anchor, METH_O, NULL},
    {"accept", py_clear_accept, METH_O, NULL},
    {"count", py_clear_count, METH_VARARGS, NULL},
    {NULL},
};

static PyType_Slot clear_slots[] = {
    {Py_tp_new, clear_new},
    {Py_tp_dealloc, clear_dealloc},
    {Py_tp_methods, clear_methods},
    {Py_tp_getset, clear_properties},
    {0, NULL},
};

static PyType_Spec clear_spec = {
    .name = "mlvpnd.dataplane._native.ClearWindow",
    .basicsize = sizeof(struct clear_window_object),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = clear_slots,
};

/* PeerFlow */

static PyObject *flow_new(PyTypeObject *type, PyObject *args, PyObject *names) {
    static char *keywords[] = {"flow_id", "link", "seq", NULL};
    unsigned int flow_id;
    PyObject *link;
    unsigned long long seq;
    if (!PyArg_ParseTupleAndKeywords(args, names, "IUK", keywords, &flow_id, &link, &seq))
        return NULL;
    if (!PyUnicode_CheckExact(link)) {
        PyErr_SetString(PyExc_TypeError, "a str expected");
        return NULL;
    }
    struct peer_flow_object *flow = (struct peer_flow_object *)type->tp_alloc(type, 0);
    if (!flow)
        return NULL;
    flow->link = Py_NewRef(link);
    PyUnicode_InternInPlace(&flow->link);
    flow->clear = Py_NewRef(Py_None);
    flow->window = native_ReplayWindow_type->tp_alloc(native_ReplayWindow_type, 0);
    if (!flow->window) {
        Py_DECREF(flow);
        return NULL;
    }
    flow->flow = (struct peer_flow){.flow_id = flow_id, .window = window_of(flow->window), .link = flow->link};
    replay_begin(flow->flow.window, seq);
    return (PyObject *)flow;
}

static void flow_dealloc(PyObject *self) {
    struct peer_flow_object *flow = (struct peer_flow_object *)self;
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF(flow->link);
    Py_XDECREF(flow->window);
    Py_XDECREF(flow->clear);
    type->tp_free(self);
    Py_DECREF(type);
}

static int wrong(const char *what) {
    PyErr_Format(PyExc_TypeError, "%s expected", what);
    return -1;
}

static int set_link(PyObject *self, PyObject *value, void *closure) {
    (void)closure;
    if (!value || !PyUnicode_CheckExact(value))
        return wrong("a str");
    struct peer_flow_object *flow = (struct peer_flow_object *)self;
    Py_INCREF(value);
    PyUnicode_InternInPlace(&value); /* so that pointers can be compared */
    flow->flow.link = value;
    Py_SETREF(flow->link, value);
    return 0;
}

static int set_window(PyObject *self, PyObject *value, void *closure) {
    (void)closure;
    struct peer_flow_object *flow = (struct peer_flow_object *)self;
    if (!value || !Py_IS_TYPE(value, native_ReplayWindow_type))
        return wrong("a native ReplayWindow");
    flow->flow.window = window_of(value);
    Py_SETREF(flow->window, Py_NewRef(value));
    return 0;
}

static int set_clear(PyObject *self, PyObject *value, void *closure) {
    (void)closure;
    struct peer_flow_object *flow = (struct peer_flow_object *)self;
    if (!value || (value != Py_None && !Py_IS_TYPE(value, native_ClearWindow_type)))
        return wrong("a native ClearWindow or None");
    flow->flow.clear = value == Py_None ? NULL : clear_of(value);
    Py_SETREF(flow->clear, Py_NewRef(value));
    return 0;
}

/* An attribute that is an object; `closure` is its offset. */
static PyObject *get_object(PyObject *self, void *closure) {
    return Py_NewRef(*(PyObject **)((char *)self + (size_t)closure));
}

static PyGetSetDef flow_properties[] = {
    {"link", get_object, set_link, NULL, (void *)offsetof(struct peer_flow_object, link)},
    {"window", get_object, set_window, NULL, (void *)offsetof(struct peer_flow_object, window)},
    {"clear", get_object, set_clear, NULL, (void *)offsetof(struct peer_flow_object, clear)},
    {NULL},
};

static PyMemberDef flow_members[] = {
    {"flow_id", T_UINT, offsetof(struct peer_flow_object, flow.flow_id), READONLY, NULL},
    {"ousted", T_BOOL, offsetof(struct peer_flow_object, flow.ousted), 0, NULL},
    {"insistent", T_BOOL, offsetof(struct peer_flow_object, flow.insistent), 0, NULL},
    {NULL},
};

static PyType_Slot flow_slots[] = {
    {Py_tp_new, flow_new},
    {Py_tp_dealloc, flow_dealloc},
    {Py_tp_members, flow_members},
    {Py_tp_getset, flow_properties},
    {0, NULL},
};

static PyType_Spec flow_spec = {
    .name = "mlvpnd.dataplane._native.PeerFlow",
    .basicsize = sizeof(struct peer_flow_object),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = flow_slots,
};

int native_add_replay(PyObject *module) {
    native_ReplayWindow_type = native_add_type(module, &window_spec);
    if (!native_ReplayWindow_type)
        return -1;
    native_ClearWindow_type = native_add_type(module, &clear_spec);
    if (!native_ClearWindow_type)
        return -1;
    native_PeerFlow_type = native_add_type(module, &flow_spec);
    return native_PeerFlow_type ? 0 : -1;
}
