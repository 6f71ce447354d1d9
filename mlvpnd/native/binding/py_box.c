#include "wire/box.h"
#include "binding/native.h"

struct box_object {
    PyObject_HEAD PyObject *key; /* bytes, WIRE_KEY_SIZE of them */
};

#define KEY(self) ((const uint8_t *)PyBytes_AS_STRING(((struct box_object *)(self))->key))

static PyObject *box_new(PyTypeObject *type, PyObject *args, PyObject *names) {
    static char *keywords[] = {"key", NULL};
    PyObject *key;
    if (!PyArg_ParseTupleAndKeywords(args, names, "S", keywords, &key))
        return NULL;
    if (PyBytes_GET_SIZE(key) != WIRE_KEY_SIZE)
        return PyErr_Format(PyExc_ValueError, "a key has %d bytes, not %zd", WIRE_KEY_SIZE, PyBytes_GET_SIZE(key));
    PyObject *self = type->tp_alloc(type, 0);
    if (self)
        ((struct box_object *)self)->key = Py_NewRef(key);
    return self;
}

static void box_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF(((struct box_object *)self)->key);
    type->tp_free(self);
    Py_DECREF(type);
}

/* Parses bytes, then flow_id and seq of the nonce; 0 with an exception set. The caller releases the buffer. */
static int parse(PyObject *args, PyObject *names, char *keywords[], Py_buffer *view, uint8_t *nonce) {
    unsigned flow_id;
    unsigned long long seq;
    if (!PyArg_ParseTupleAndKeywords(args, names, "y*IK", keywords, view, &flow_id, &seq))
        return 0;
    wire_nonce(flow_id, seq, nonce);
    return 1;
}

static PyObject *seal(PyObject *self, PyObject *args, PyObject *names) {
    static char *keywords[] = {"plaintext", "flow_id", "seq", NULL};
    uint8_t nonce[WIRE_NONCE_SIZE];
    Py_buffer view;
    if (!parse(args, names, keywords, &view, nonce))
        return NULL;
    PyObject *sealed = PyBytes_FromStringAndSize(NULL, WIRE_MAC_SIZE + view.len);
    if (sealed) {
        uint8_t *text = (uint8_t *)PyBytes_AS_STRING(sealed) + WIRE_MAC_SIZE;
        memcpy(text, view.buf, (size_t)view.len);
        box_seal(text, (size_t)view.len, nonce, KEY(self));
    }
    PyBuffer_Release(&view);
    return sealed;
}

static PyObject *open_box(PyObject *self, PyObject *args, PyObject *names) {
    static char *keywords[] = {"box", "flow_id", "seq", NULL};
    uint8_t nonce[WIRE_NONCE_SIZE];
    Py_buffer view;
    if (!parse(args, names, keywords, &view, nonce))
        return NULL;
    PyObject *plaintext = NULL;
    size_t size = (size_t)view.len;
    uint8_t *box = size < WIRE_MAC_SIZE ? NULL : PyMem_Malloc(size);
    if (box) {
        memcpy(box, view.buf, size);
        uint8_t *text = box + WIRE_MAC_SIZE;
        if (box_open(text, size - WIRE_MAC_SIZE, nonce, KEY(self)))
            plaintext = PyBytes_FromStringAndSize((const char *)text, (Py_ssize_t)(size - WIRE_MAC_SIZE));
        else
            plaintext = Py_NewRef(Py_None);
        PyMem_Free(box);
    } else if (size < WIRE_MAC_SIZE) {
        plaintext = Py_NewRef(Py_None);
    } else {
        PyErr_NoMemory();
    }
    PyBuffer_Release(&view);
    return plaintext;
}

static PyMethodDef methods[] = {
    {"seal", (PyCFunction)(void (*)(void))seal, METH_VARARGS | METH_KEYWORDS, NULL},
    {"open", (PyCFunction)(void (*)(void))open_box, METH_VARARGS | METH_KEYWORDS, NULL},
    {NULL},
};

static PyMemberDef members[] = {
    {"key", T_OBJECT_EX, offsetof(struct box_object, key), READONLY, NULL},
    {NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_new, box_new}, {Py_tp_dealloc, box_dealloc}, {Py_tp_methods, methods}, {Py_tp_members, members}, {0, NULL},
};

static PyType_Spec spec = {
    .name = "mlvpnd.dataplane._native.Box",
    .basicsize = sizeof(struct box_object),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = slots,
};

int native_add_box(PyObject *module) {
    PyTypeObject *type = native_add_type(module, &spec);
    Py_XDECREF(type);
    return type ? 0 : -1;
}
