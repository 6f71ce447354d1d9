#include "wire/inner.h"

#include "generated.h"
#include "binding/native.h"

/* Members of mlvpnd.protocol.wire.inner.Kind, by their values. */
static PyObject *kinds[INNER_KINDS];

/* Parses a packet and `layer2`; -1 with an exception set. The caller releases the buffer. */
static int parse(PyObject *args, PyObject *names, PyObject **packet, Py_buffer *view, bool *layer2) {
    static char *keywords[] = {"packet", "layer2", NULL};
    int given;
    if (!PyArg_ParseTupleAndKeywords(args, names, "O$p", keywords, packet, &given) ||
        PyObject_GetBuffer(*packet, view, PyBUF_SIMPLE) < 0)
        return -1;
    *layer2 = given;
    return 0;
}

static PyObject *classify(PyObject *module, PyObject *args, PyObject *names) {
    (void)module;
    PyObject *packet;
    Py_buffer view;
    bool layer2;
    uint32_t flow;
    if (parse(args, names, &packet, &view, &layer2) < 0)
        return NULL;
    enum inner_kind kind = inner_classify(view.buf, (size_t)view.len, layer2, &flow);
    PyBuffer_Release(&view);
    return Py_BuildValue("(OI)", kinds[kind], (unsigned)flow);
}

static PyObject *segment_name(PyObject *module, PyObject *args, PyObject *names) {
    (void)module;
    PyObject *packet;
    Py_buffer view;
    bool layer2;
    uint8_t name[INNER_LONGEST_NAME];
    if (parse(args, names, &packet, &view, &layer2) < 0)
        return NULL;
    size_t size = inner_segment(view.buf, (size_t)view.len, layer2, name);
    PyBuffer_Release(&view);
    return size ? PyBytes_FromStringAndSize((const char *)name, (Py_ssize_t)size) : Py_NewRef(Py_None);
}

static PyObject *packet_from(PyObject *module, PyObject *args, PyObject *names) {
    (void)module;
    PyObject *plaintext, *out;
    Py_buffer view;
    bool layer2;
    if (parse(args, names, &plaintext, &view, &layer2) < 0)
        return NULL;
    size_t size = inner_packet_from(view.buf, (size_t)view.len, layer2);
    if (!size)
        out = Py_NewRef(Py_None);
    else if (size == (size_t)view.len)
        out = Py_NewRef(plaintext);
    else
        out = PyBytes_FromStringAndSize(view.buf, (Py_ssize_t)size);
    PyBuffer_Release(&view);
    return out;
}

static PyMethodDef functions[] = {
    {"classify", (PyCFunction)(void (*)(void))classify, METH_VARARGS | METH_KEYWORDS, NULL},
    {"segment_name", (PyCFunction)(void (*)(void))segment_name, METH_VARARGS | METH_KEYWORDS, NULL},
    {"packet_from", (PyCFunction)(void (*)(void))packet_from, METH_VARARGS | METH_KEYWORDS, NULL},
    {NULL},
};

int native_add_inner(PyObject *module) {
    static const char *const names[INNER_KINDS] = {"BULK", "SMALL", "ACK", "SHORT"};
    PyObject *inner = PyImport_ImportModule("mlvpnd.protocol.wire.inner");
    PyObject *kind = inner ? PyObject_GetAttrString(inner, "Kind") : NULL;
    bool known = kind;
    for (int i = 0; known && i < INNER_KINDS; i++)
        known = (kinds[i] = PyObject_GetAttrString(kind, names[i]));
    Py_XDECREF(kind);
    Py_XDECREF(inner);
    return known ? PyModule_AddFunctions(module, functions) : -1;
}
