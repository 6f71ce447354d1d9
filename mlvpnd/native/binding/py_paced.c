#include "binding/py_paced.h"

PyTypeObject *native_PacedScheduler_type;

/* mlvpnd.protocol.sending.line.Item */
static PyObject *Item;

static struct paced *paced_of(PyObject *self) {
    return &((struct paced_object *)self)->paced;
}

static int init(PyObject *self, PyObject *args, PyObject *names) {
    static char *keywords[] = {"next_data_seq", NULL};
    PyObject *number;
    uint64_t next_data_seq;
    if (!PyArg_ParseTupleAndKeywords(args, names, "O", keywords, &number) || native_u64(number, &next_data_seq) < 0)
        return -1;
    paced_end(paced_of(self));
    paced_begin(paced_of(self), next_data_seq);
    return 0;
}

static void dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    paced_end(paced_of(self));
    type->tp_free(self);
    Py_DECREF(type);
}

/* An attribute of LineParameters as an integer; -1 with an exception set. */
static int read_number(PyObject *from, const char *name, int64_t least, int64_t most, int64_t *value) {
    PyObject *number = PyObject_GetAttrString(from, name);
    if (!number)
        return -1;
    *value = PyLong_AsLongLong(number);
    Py_DECREF(number);
    if (*value == -1 && PyErr_Occurred())
        return -1;
    if (*value < least || *value > most) {
        PyErr_Format(PyExc_ValueError, "a line's %s is %lld to %lld", name, (long long)least, (long long)most);
        return -1;
    }
    return 0;
}

/* A line's number; -1 with an exception set. */
static int32_t as_number(PyObject *number) {
    long value = PyLong_AsLong(number);
    if (value == -1 && PyErr_Occurred())
        return -1;
    if (value < 0 || value > INT32_MAX) {
        PyErr_SetString(PyExc_ValueError, "a line's number is not negative");
        return -1;
    }
    return (int32_t)value;
}

static int read_line(PyObject *number, PyObject *given, struct paced_line *line) {
    int64_t priority;
    line->number = as_number(number);
    if (line->number < 0 || read_number(given, "rate", 1, LINE_MAX_RATE, &line->rate) < 0 ||
        read_number(given, "delay", 0, INT64_MAX / 1000, &line->delay) < 0 ||
        read_number(given, "least_delay", 0, INT64_MAX / 1000, &line->least_delay) < 0 ||
        read_number(given, "priority", INT32_MIN, INT32_MAX, &priority) < 0)
        return -1;
    line->priority = (int32_t)priority;
    PyObject *spare = PyObject_GetAttrString(given, "spare");
    int truth = spare ? PyObject_IsTrue(spare) : -1;
    Py_XDECREF(spare);
    line->spare = truth > 0;
    return truth < 0 ? -1 : 0;
}

static PyObject *set_lines(PyObject *self, PyObject *args) {
    PyObject *mapping;
    long long now;
    if (!PyArg_ParseTuple(args, "OL", &mapping, &now))
        return NULL;
    PyObject *items = PyMapping_Items(mapping);
    if (!items)
        return NULL;
    Py_ssize_t count = PyList_GET_SIZE(items);
    struct paced_line *lines = PyMem_Calloc((size_t)count + 1, sizeof *lines);
    bool done = lines;
    if (!done)
        PyErr_NoMemory();
    for (Py_ssize_t i = 0; done && i < count; i++) {
        PyObject *number, *given;
        done = PyArg_ParseTuple(PyList_GET_ITEM(items, i), "OO", &number, &given) &&
               read_line(number, given, &lines[i]) == 0;
    }
    if (done && !paced_set_lines(paced_of(self), lines, (size_t)count, now)) {
        PyErr_NoMemory();
        done = false;
    }
    PyMem_Free(lines);
    Py_DECREF(items);
    return done ? Py_NewRef(Py_None) : NULL;
}

static PyObject *is_settling(PyObject *self, PyObject *time) {
    long long now = PyLong_AsLongLong(time);
    if (now == -1 && PyErr_Occurred())
        return NULL;
    return PyBool_FromLong(paced_is_settling(paced_of(self), now));
}

static PyObject *put(PyObject *self, PyObject *args) {
    int kind;
    long long now;
    uint64_t flow;
    PyObject *number, *bytes, *size;
    if (!PyArg_ParseTuple(args, "iOOOL", &kind, &number, &bytes, &size, &now) || native_u64(number, &flow) < 0)
        return NULL;
    struct packet *packet = native_sized_packet(bytes, size);
    if (!packet)
        return NULL;
    paced_put(paced_of(self), (enum inner_kind)kind, (uint32_t)flow, packet, now);
    Py_RETURN_NONE;
}

static PyObject *put_on(PyObject *self, PyObject *args, PyObject *names) {
    static char *keywords[] = {"number", "item", "flow", "now", "first", NULL};
    PyObject *line, *flow_key, *bytes, *size, *data_seq;
    unsigned bucket; /* not used: it follows from `flow` */
    int first, reorder;
    long long now, after;
    uint64_t flow;
    if (!PyArg_ParseTupleAndKeywords(args, names, "O(OOOpLI)OL$p", keywords, &line, &bytes, &size, &data_seq, &reorder,
                                     &after, &bucket, &flow_key, &now, &first) ||
        native_u64(flow_key, &flow) < 0)
        return NULL;
    int overflow;
    long number = PyLong_AsLongAndOverflow(line, &overflow);
    if (number == -1 && PyErr_Occurred())
        return NULL;
    struct packet *packet = native_sized_packet(bytes, size);
    if (!packet)
        return NULL;
    packet->reorder = reorder;
    packet->after = after;
    if (native_u64(data_seq, &packet->data_seq) < 0) {
        packet_free(packet);
        return NULL;
    }
    if (overflow || number < 0 || number > INT32_MAX ||
        !paced_put_on(paced_of(self), (int32_t)number, packet, (uint32_t)flow, now, first)) {
        packet_free(packet);
        PyErr_SetObject(PyExc_KeyError, line);
        return NULL;
    }
    Py_RETURN_NONE;
}

/* The packets that leave, as (line, Item); frees the list. */
static PyObject *taken(struct packet_list *list) {
    PyObject *out = PyList_New(0);
    struct packet *packet;
    while ((packet = packet_list_pop(list))) {
        PyObject *pair = NULL;
        PyObject *item =
            !out ? NULL
                 : PyObject_CallFunction(Item, "y#IKOLI", (const char *)packet->data, (Py_ssize_t)packet->size,
                                         (unsigned)packet->line_size, (unsigned long long)packet->data_seq,
                                         packet->reorder ? Py_True : Py_False, (long long)packet->after,
                                         (unsigned)packet->flow);
        if (item)
            pair = Py_BuildValue("(iN)", (int)packet->link, item);
        packet_free(packet);
        if (!pair || PyList_Append(out, pair) < 0)
            Py_CLEAR(out);
        Py_XDECREF(pair);
    }
    return out;
}

static PyObject *take_or_drain(PyObject *self, PyObject *time,
                               void (*give)(struct paced *, int64_t, struct packet_list *)) {
    long long now = PyLong_AsLongLong(time);
    if (now == -1 && PyErr_Occurred())
        return NULL;
    struct packet_list list = {0};
    give(paced_of(self), now, &list);
    return taken(&list);
}

static PyObject *take(PyObject *self, PyObject *now) {
    return take_or_drain(self, now, paced_take);
}

static PyObject *drain(PyObject *self, PyObject *now) {
    return take_or_drain(self, now, paced_drain);
}

static PyObject *earliest(PyObject *self, PyObject *args) {
    PyObject *given;
    long long now;
    if (!PyArg_ParseTuple(args, "OL", &given, &now))
        return NULL;
    PyObject *list = PySequence_Fast(given, "numbers of lines are a sequence");
    if (!list)
        return NULL;
    Py_ssize_t count = PySequence_Fast_GET_SIZE(list);
    int32_t *numbers = PyMem_Calloc((size_t)count + 1, sizeof *numbers);
    PyObject *best = NULL;
    if (!numbers)
        PyErr_NoMemory();
    else if (!count)
        PyErr_SetString(PyExc_IndexError, "there must be a line");
    for (Py_ssize_t i = 0; numbers && i < count && !PyErr_Occurred(); i++)
        numbers[i] = as_number(PySequence_Fast_GET_ITEM(list, i));
    if (numbers && !PyErr_Occurred())
        best = PyLong_FromLong(paced_earliest(paced_of(self), numbers, (size_t)count, now));
    PyMem_Free(numbers);
    Py_DECREF(list);
    return best;
}

static PyObject *due(PyObject *self, PyObject *unused) {
    (void)unused;
    int64_t at;
    if (!paced_due(paced_of(self), &at))
        Py_RETURN_NONE;
    return PyLong_FromLongLong(at);
}

static PyObject *get_waiting_bytes(PyObject *self, void *unused) {
    (void)unused;
    return PyLong_FromLongLong(paced_waiting_bytes(paced_of(self)));
}

static PyObject *get_number(PyObject *self, void *offset) {
    return PyLong_FromUnsignedLongLong(*(uint64_t *)((char *)self + (size_t)offset));
}

static int set_number(PyObject *self, PyObject *value, void *offset) {
    if (!value) {
        PyErr_SetString(PyExc_AttributeError, "it cannot be deleted");
        return -1;
    }
    return native_u64(value, (uint64_t *)((char *)self + (size_t)offset));
}

static PyGetSetDef properties[] = {
    {"next_data_seq", get_number, set_number, NULL, (void *)offsetof(struct paced_object, paced.next_data_seq)},
    {"dropped", get_number, set_number, NULL, (void *)offsetof(struct paced_object, paced.dropped)},
    {"waiting_bytes", get_waiting_bytes, NULL, NULL, NULL},
    {NULL},
};

static PyMethodDef methods[] = {
    {"is_settling", is_settling, METH_O, NULL},
    {"set_lines", set_lines, METH_VARARGS, NULL},
    {"put", put, METH_VARARGS, NULL},
    {"put_on", (PyCFunction)(void (*)(void))put_on, METH_VARARGS | METH_KEYWORDS, NULL},
    {"take", take, METH_O, NULL},
    {"drain", drain, METH_O, NULL},
    {"earliest", earliest, METH_VARARGS, NULL},
    {"due", due, METH_NOARGS, NULL},
    {NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_init, init},         {Py_tp_new, PyType_GenericNew}, {Py_tp_dealloc, dealloc},
    {Py_tp_getset, properties}, {Py_tp_methods, methods},       {0, NULL},
};

static PyType_Spec spec = {
    .name = "mlvpnd.dataplane._native.PacedScheduler",
    .basicsize = sizeof(struct paced_object),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = slots,
};

int native_add_paced(PyObject *module) {
    PyObject *line = PyImport_ImportModule("mlvpnd.protocol.sending.line");
    Item = line ? PyObject_GetAttrString(line, "Item") : NULL;
    Py_XDECREF(line);
    native_PacedScheduler_type = Item ? (PyTypeObject *)PyType_FromSpec(&spec) : NULL;
    if (!native_PacedScheduler_type)
        return -1;
    return PyModule_AddObjectRef(module, "PacedScheduler", (PyObject *)native_PacedScheduler_type);
}
