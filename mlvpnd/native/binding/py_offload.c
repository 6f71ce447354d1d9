#include "binding/py_offload.h"

#include "offload/checksum.h"
#include "offload/mss.h"
#include "offload/segment.h"

enum { VNET_HEADER = 10 }; /* bytes */

PyTypeObject *native_Coalescer_type;

static int coalescer_init(PyObject *self, PyObject *args, PyObject *names) {
    static char *keywords[] = {"uso", "layer2", NULL};
    int uso, layer2;
    if (!PyArg_ParseTupleAndKeywords(args, names, "$pp", keywords, &uso, &layer2))
        return -1;
    struct coalescer *coalescer = &((struct coalescer_object *)self)->coalescer;
    coalescer_clear(coalescer);
    coalescer_begin(coalescer, uso, layer2);
    return 0;
}

static void coalescer_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    coalescer_clear(&((struct coalescer_object *)self)->coalescer);
    type->tp_free(self);
    Py_DECREF(type);
}

static int append_frame(PyObject *out, const struct iovec *parts, size_t count) {
    size_t size = 0;
    for (size_t number = 0; number < count; number++)
        size += parts[number].iov_len;
    PyObject *frame = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
    if (!frame)
        return -1;
    char *end = PyBytes_AS_STRING(frame);
    for (size_t number = 0; number < count; number++) {
        memcpy(end, parts[number].iov_base, parts[number].iov_len);
        end += parts[number].iov_len;
    }
    int appended = PyList_Append(out, frame);
    Py_DECREF(frame);
    return appended;
}

static int list_of(PyObject *packets, struct packet_list *list) {
    PyObject *sequence = PySequence_Fast(packets, "packets must be a sequence of bytes");
    if (!sequence)
        return -1;
    for (Py_ssize_t number = 0; number < PySequence_Fast_GET_SIZE(sequence); number++) {
        struct packet *packet = native_packet(PySequence_Fast_GET_ITEM(sequence, number));
        if (!packet) {
            packet_list_free(list);
            Py_DECREF(sequence);
            return -1;
        }
        packet_list_push(list, packet);
    }
    Py_DECREF(sequence);
    return 0;
}

static PyObject *coalescer_coalesce(PyObject *self, PyObject *packets) {
    struct coalescer *coalescer = &((struct coalescer_object *)self)->coalescer;
    struct packet_list list = {0};
    struct iovec parts[COALESCE_PARTS];
    if (list_of(packets, &list) < 0)
        return NULL;
    PyObject *out = PyList_New(0);
    while (out && list.count) {
        coalescer_take(coalescer, &list);
        size_t count;
        while (out && (count = coalescer_next(coalescer, parts)))
            if (append_frame(out, parts, count) < 0)
                Py_CLEAR(out);
    }
    packet_list_free(&list);
    coalescer_clear(coalescer);
    return out;
}

static PyMemberDef coalescer_members[] = {
    {"merged_frames", T_ULONGLONG, offsetof(struct coalescer_object, coalescer.merged_frames), 0, NULL},
    {"merged_packets", T_ULONGLONG, offsetof(struct coalescer_object, coalescer.merged_packets), 0, NULL},
    {NULL},
};

static PyMethodDef coalescer_methods[] = {
    {"coalesce", coalescer_coalesce, METH_O, NULL},
    {NULL},
};

static PyType_Slot coalescer_slots[] = {
    {Py_tp_init, coalescer_init},       {Py_tp_new, PyType_GenericNew},     {Py_tp_dealloc, coalescer_dealloc},
    {Py_tp_members, coalescer_members}, {Py_tp_methods, coalescer_methods}, {0, NULL},
};

static PyType_Spec coalescer_spec = {
    .name = "mlvpnd.dataplane._native.Coalescer",
    .basicsize = sizeof(struct coalescer_object),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = coalescer_slots,
};

static PyObject *segment(PyObject *module, PyObject *args, PyObject *names) {
    (void)module;
    static char *keywords[] = {"", "layer2", NULL};
    Py_buffer frame;
    int layer2;
    if (!PyArg_ParseTupleAndKeywords(args, names, "y*$p", keywords, &frame, &layer2))
        return NULL;
    struct packet_list out = {0};
    if (frame.len >= VNET_HEADER)
        segment_frame(frame.buf, (const uint8_t *)frame.buf + VNET_HEADER, (size_t)frame.len - VNET_HEADER, layer2,
                      &out);
    PyBuffer_Release(&frame);
    return native_bytes_list(&out);
}

static PyObject *clamp_mss(PyObject *module, PyObject *args, PyObject *names) {
    (void)module;
    static char *keywords[] = {"", "", "", "layer2", NULL};
    Py_buffer packet;
    unsigned short ipv4, ipv6;
    int layer2;
    if (!PyArg_ParseTupleAndKeywords(args, names, "y*HH$p", keywords, &packet, &ipv4, &ipv6, &layer2))
        return NULL;
    PyObject *copy = PyBytes_FromStringAndSize(packet.buf, packet.len);
    struct mss_limits limits = {ipv4, ipv6};
    if (copy)
        mss_clamp((uint8_t *)PyBytes_AS_STRING(copy), (size_t)packet.len, layer2, &limits);
    PyBuffer_Release(&packet);
    return copy;
}

static PyObject *ones_sum(PyObject *module, PyObject *object) {
    (void)module;
    Py_buffer data;
    if (PyObject_GetBuffer(object, &data, PyBUF_SIMPLE) < 0)
        return NULL;
    uint32_t sum = checksum_sum(data.buf, (size_t)data.len);
    PyBuffer_Release(&data);
    return PyLong_FromUnsignedLong(sum);
}

static PyObject *checksum(PyObject *module, PyObject *args) {
    (void)module;
    Py_buffer data;
    unsigned int start = 0;
    if (!PyArg_ParseTuple(args, "y*|I", &data, &start))
        return NULL;
    uint16_t value = checksum_of((uint64_t)start + checksum_sum(data.buf, (size_t)data.len));
    PyBuffer_Release(&data);
    return PyLong_FromUnsignedLong(value);
}

static PyObject *pseudo_sum(PyObject *module, PyObject *args) {
    (void)module;
    Py_buffer addresses;
    unsigned char protocol;
    unsigned int length;
    if (!PyArg_ParseTuple(args, "y*bI", &addresses, &protocol, &length))
        return NULL;
    uint32_t sum = checksum_pseudo(addresses.buf, (size_t)addresses.len, protocol, length);
    PyBuffer_Release(&addresses);
    return PyLong_FromUnsignedLong(sum);
}

static PyObject *ipv4_checksum(PyObject *module, PyObject *object) {
    (void)module;
    Py_buffer header;
    if (PyObject_GetBuffer(object, &header, PyBUF_SIMPLE) < 0)
        return NULL;
    PyObject *value = NULL;
    if (header.len < 20)
        PyErr_SetString(PyExc_ValueError, "an IPv4 header has at least 20 bytes");
    else
        value = PyLong_FromUnsignedLong(checksum_ipv4(header.buf, (size_t)header.len));
    PyBuffer_Release(&header);
    return value;
}

static PyMethodDef functions[] = {
    {"segment", (PyCFunction)(void (*)(void))segment, METH_VARARGS | METH_KEYWORDS, NULL},
    {"clamp_mss", (PyCFunction)(void (*)(void))clamp_mss, METH_VARARGS | METH_KEYWORDS, NULL},
    {"ones_sum", ones_sum, METH_O, NULL},
    {"checksum", checksum, METH_VARARGS, NULL},
    {"pseudo_sum", pseudo_sum, METH_VARARGS, NULL},
    {"ipv4_checksum", ipv4_checksum, METH_O, NULL},
    {NULL},
};

int native_add_offload(PyObject *module) {
    if (!native_Coalescer_type)
        native_Coalescer_type = (PyTypeObject *)PyType_FromSpec(&coalescer_spec);
    if (!native_Coalescer_type || PyModule_AddObjectRef(module, "Coalescer", (PyObject *)native_Coalescer_type) < 0)
        return -1;
    return PyModule_AddFunctions(module, functions);
}
