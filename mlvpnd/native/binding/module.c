#include "binding/native.h"

#include <sodium.h>
#include <string.h>

PyObject *native_bytes_list(struct packet_list *list) {
    PyObject *out = PyList_New(0);
    struct packet *packet;
    while ((packet = packet_list_pop(list))) {
        PyObject *bytes = out ? PyBytes_FromStringAndSize((const char *)packet->data, packet->size) : NULL;
        packet_free(packet);
        if (bytes && PyList_Append(out, bytes) < 0)
            Py_CLEAR(bytes);
        if (!bytes)
            Py_CLEAR(out);
        Py_XDECREF(bytes);
    }
    return out;
}

struct packet *native_packet(PyObject *bytes) {
    Py_buffer view;
    if (PyObject_GetBuffer(bytes, &view, PyBUF_SIMPLE) < 0)
        return NULL;
    struct packet *packet = packet_copy(view.buf, (size_t)view.len);
    PyBuffer_Release(&view);
    if (!packet)
        PyErr_NoMemory();
    return packet;
}

struct packet *native_sized_packet(PyObject *bytes, PyObject *line_size) {
    unsigned long size = PyLong_AsUnsignedLong(line_size);
    if (size == (unsigned long)-1 && PyErr_Occurred())
        return NULL;
    if (size > UINT32_MAX) {
        PyErr_SetString(PyExc_OverflowError, "no packet is so large");
        return NULL;
    }
    struct packet *packet = native_packet(bytes);
    if (packet)
        packet->line_size = (uint32_t)size;
    return packet;
}

int native_u64(PyObject *number, uint64_t *value) {
    *value = PyLong_AsUnsignedLongLongMask(number);
    return *value == (uint64_t)-1 && PyErr_Occurred() ? -1 : 0;
}

PyTypeObject *native_add_type(PyObject *module, PyType_Spec *spec) {
    PyObject *type = PyType_FromSpec(spec);
    if (type && PyModule_AddObjectRef(module, strrchr(spec->name, '.') + 1, type) < 0)
        Py_CLEAR(type);
    return (PyTypeObject *)type;
}

/* Parts that others need come first. */
static int (*const parts[])(PyObject *) = {
    native_add_box,       native_add_replay,     native_add_transit,    native_add_loss,     native_add_rtt,
    native_add_copies,    native_add_answers,    native_add_flow_index, native_add_reorder,  native_add_inner,
    native_add_fragments, native_add_flow_queue, native_add_stretch,    native_add_paced,    native_add_retransmissions,
    native_add_weighted,  native_add_offload,    native_add_path,       native_add_receiver, native_add_engine,
    native_add_loop,
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "mlvpnd.dataplane._native",
    .m_doc = "The native twin of the data plane: see ARCHITECTURE.md.",
    .m_size = -1,
};

PyMODINIT_FUNC PyInit__native(void) {
    if (sodium_init() < 0) {
        PyErr_SetString(PyExc_ImportError, "libsodium cannot be initialised");
        return NULL;
    }
    PyObject *module = PyModule_Create(&definition);
    for (size_t index = 0; module && index < sizeof parts / sizeof *parts; index++)
        if (parts[index](module) < 0)
            Py_CLEAR(module);
    return module;
}
