#include "io/loop.h"
#include "binding/py_engine.h"

struct loop_object {
    PyObject_HEAD struct loop loop;
    PyObject *engine;
    bool running; /* without the interpreter's lock: no other thread may touch the loop */
};

static PyTypeObject *native_Loop_type;

#define SELF ((struct loop_object *)self)

static int init(PyObject *self, PyObject *args, PyObject *names) {
    static char *keywords[] = {"engine", NULL};
    PyObject *engine;
    if (!PyArg_ParseTupleAndKeywords(args, names, "O!", keywords, native_Engine_type, &engine))
        return -1;
    if (SELF->engine) {
        PyErr_SetString(PyExc_TypeError, "it has begun already");
        return -1;
    }
    struct engine *inner = &((struct engine_object *)engine)->engine;
    if (!loop_begin(&SELF->loop, inner, inner->layer2)) {
        PyErr_NoMemory();
        return -1;
    }
    SELF->engine = Py_NewRef(engine);
    return 0;
}

static void dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    if (SELF->engine)
        loop_end(&SELF->loop);
    Py_XDECREF(SELF->engine);
    type->tp_free(self);
    Py_DECREF(type);
}

/* At every entry: takes over Python's links, and refuses while another thread runs the loop. */
static int enter(PyObject *self) {
    if (SELF->running) {
        PyErr_SetString(PyExc_RuntimeError, "the loop runs in another thread");
        return -1;
    }
    return native_engine_enter((struct engine_object *)SELF->engine);
}

static PyObject *watch_tun(PyObject *self, PyObject *args) {
    int fd, has_vnet, uso;
    if (!PyArg_ParseTuple(args, "ipp", &fd, &has_vnet, &uso) || enter(self) < 0)
        return NULL;
    struct tun_port *tun = SELF->loop.tun;
    tun->fd = fd;
    tun->is_read = true;
    tun->has_vnet = tun->joins = has_vnet;
    coalescer_begin(&tun->coalescer, uso, tun->layer2);
    Py_RETURN_NONE;
}

static PyObject *unwatch_tun(PyObject *self, PyObject *nothing) {
    (void)nothing;
    SELF->loop.tun->is_read = false;
    Py_RETURN_NONE;
}

static PyObject *set_limits(PyObject *self, PyObject *args) {
    unsigned mtu;
    unsigned short ipv4, ipv6;
    if (!PyArg_ParseTuple(args, "IHH", &mtu, &ipv4, &ipv6) || enter(self) < 0)
        return NULL;
    SELF->loop.tun->mtu = mtu;
    SELF->loop.tun->mss = (struct mss_limits){ipv4, ipv6};
    Py_RETURN_NONE;
}

static PyObject *attach_link(PyObject *self, PyObject *args) {
    int number, fd, gso, gro, answers;
    if (!PyArg_ParseTuple(args, "iippp", &number, &fd, &gso, &gro, &answers) || enter(self) < 0)
        return NULL;
    if (!loop_attach(&SELF->loop, number, udp_port(fd, gso, gro, answers)))
        return PyErr_NoMemory();
    Py_RETURN_NONE;
}

static PyObject *detach_link(PyObject *self, PyObject *object) {
    long number = PyLong_AsLong(object);
    if ((number == -1 && PyErr_Occurred()) || enter(self) < 0)
        return NULL;
    loop_detach(&SELF->loop, (int32_t)number, loop_now());
    Py_RETURN_NONE;
}

static PyObject *flush(PyObject *self, PyObject *nothing) {
    (void)nothing;
    if (enter(self) < 0)
        return NULL;
    loop_flush(&SELF->loop, loop_now());
    PyObject *refused = PyList_New(0);
    for (size_t index = 0; refused && index < SELF->loop.port_count; index++) {
        const struct loop_port *port = &SELF->loop.ports[index];
        if (port->udp.refused_for < 0)
            continue;
        PyObject *number = PyLong_FromLong(port->number);
        if (!number || PyList_Append(refused, number) < 0)
            Py_CLEAR(refused);
        Py_XDECREF(number);
    }
    return refused;
}

static PyObject *deliver(PyObject *self, PyObject *packets) {
    if (!PyList_Check(packets)) {
        PyErr_SetString(PyExc_TypeError, "a list of packets");
        return NULL;
    }
    struct packet_list list = {0};
    for (Py_ssize_t index = 0; index < PyList_GET_SIZE(packets); index++) {
        struct packet *packet = native_packet(PyList_GET_ITEM(packets, index));
        if (!packet) {
            packet_list_free(&list);
            return NULL;
        }
        packet_list_push(&list, packet);
    }
    tun_write(SELF->loop.tun, &list);
    Py_RETURN_NONE;
}

static PyObject *run(PyObject *self, PyObject *args) {
    int wake;
    PyObject *timeout;
    if (!PyArg_ParseTuple(args, "iO", &wake, &timeout) || enter(self) < 0)
        return NULL;
    double deadline = Py_HUGE_VAL;
    if (timeout != Py_None) {
        double seconds = PyFloat_AsDouble(timeout);
        if (seconds == -1.0 && PyErr_Occurred())
            return NULL;
        deadline = loop_now() + seconds;
    }
    unsigned reasons;
    SELF->running = true;
    Py_BEGIN_ALLOW_THREADS reasons = loop_run(&SELF->loop, wake, deadline);
    Py_END_ALLOW_THREADS SELF->running = false;
    return PyLong_FromUnsignedLong(reasons);
}

static PyObject *slow_datagrams(PyObject *self, PyObject *everything) {
    int rest = PyObject_IsTrue(everything);
    if (rest < 0 || enter(self) < 0)
        return NULL;
    int32_t number = loop_slow_link(&SELF->loop, rest);
    PyObject *list = PyList_New(0), *address = NULL;
    struct packet datagram;
    const struct address *source, *known = NULL;
    while (list && loop_next_slow(&SELF->loop, !PyList_GET_SIZE(list), rest, &datagram, &source)) {
        if (!known || !address_equal(known, source)) {
            Py_XSETREF(address, native_address_tuple(source));
            known = source;
        }
        PyObject *item =
            address ? Py_BuildValue("y#O", (const char *)datagram.data, (Py_ssize_t)datagram.size, address) : NULL;
        if (!item || PyList_Append(list, item) < 0)
            Py_CLEAR(list);
        Py_XDECREF(item);
    }
    Py_XDECREF(address);
    return list ? Py_BuildValue("iN", (int)number, list) : NULL;
}

static PyObject *slow_packet(PyObject *self, PyObject *nothing) {
    (void)nothing;
    struct packet *packet = packet_list_pop(&SELF->loop.from_tun);
    if (!packet)
        return PyBytes_FromStringAndSize(NULL, 0);
    PyObject *bytes = PyBytes_FromStringAndSize((const char *)packet->data, packet->size);
    packet_free(packet);
    return bytes;
}

static PyObject *link_counts(PyObject *self, PyObject *object) {
    long number = PyLong_AsLong(object);
    if (number == -1 && PyErr_Occurred())
        return NULL;
    const struct loop_port *port = loop_port(&SELF->loop, (int32_t)number);
    if (!port) {
        PyErr_SetObject(PyExc_KeyError, object);
        return NULL;
    }
    const struct udp_port *udp = &port->udp;
    PyObject *refused = udp->refused_for < 0 ? Py_NewRef(Py_None) : PyFloat_FromDouble(udp->refused_for);
    if (!refused)
        return NULL;
    return Py_BuildValue("{sKsKsKsKsKsKsO}iN", "overflows", udp->overflows, "send_errors", udp->send_errors,
                         "gso_sends", udp->gso_sends, "gso_segments", udp->gso_segments, "gro_receives",
                         udp->gro_receives, "gro_segments", udp->gro_segments, "gso", udp->gso ? Py_True : Py_False,
                         udp->last_error, refused);
}

#define TUN(name) {#name, T_ULONGLONG, offsetof(struct tun_port, name), READONLY, NULL}

static PyMemberDef tun_counts_of[] = {
    TUN(packets_read),
    TUN(packets_written),
    TUN(bytes_read),
    TUN(bytes_written),
    TUN(tso_reads),
    TUN(tso_segments),
    TUN(coalesced_writes),
    TUN(coalesced_segments),
    TUN(down),
    TUN(full),
    TUN(refused),
    TUN(malformed),
    TUN(oversize),
    {NULL},
};

static PyObject *tun_counts(PyObject *self, PyObject *nothing) {
    (void)nothing;
    PyObject *counts = PyDict_New();
    for (PyMemberDef *member = tun_counts_of; counts && member->name; member++) {
        PyObject *value = PyMember_GetOne((const char *)SELF->loop.tun, member);
        if (!value || PyDict_SetItemString(counts, member->name, value) < 0)
            Py_CLEAR(counts);
        Py_XDECREF(value);
    }
    return counts;
}

static PyObject *tun_error(PyObject *self, void *closure) {
    (void)closure;
    return PyLong_FromLong(SELF->loop.tun_error);
}

static PyMemberDef members[] = {
    {"housekeeping_at", T_DOUBLE, offsetof(struct loop_object, loop.housekeeping_at), 0, NULL},
    {"data_at", T_DOUBLE, offsetof(struct loop_object, loop.data_at), 0, NULL},
    {NULL},
};

static PyGetSetDef attributes[] = {
    {"tun_error", tun_error, NULL, NULL, NULL},
    {NULL},
};

static PyMethodDef methods[] = {
    {"watch_tun", watch_tun, METH_VARARGS, NULL},
    {"unwatch_tun", unwatch_tun, METH_NOARGS, NULL},
    {"set_limits", set_limits, METH_VARARGS, NULL},
    {"attach_link", attach_link, METH_VARARGS, NULL},
    {"detach_link", detach_link, METH_O, NULL},
    {"flush", flush, METH_NOARGS, NULL},
    {"deliver", deliver, METH_O, NULL},
    {"run", run, METH_VARARGS, NULL},
    {"slow_datagrams", slow_datagrams, METH_O, NULL},
    {"slow_packet", slow_packet, METH_NOARGS, NULL},
    {"link_counts", link_counts, METH_O, NULL},
    {"tun_counts", tun_counts, METH_NOARGS, NULL},
    {NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_init, init},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_dealloc, dealloc},
    {Py_tp_members, members},
    {Py_tp_getset, attributes},
    {Py_tp_methods, methods},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "mlvpnd.dataplane._native.Loop",
    .basicsize = sizeof(struct loop_object),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = slots,
};

int native_add_loop(PyObject *module) {
    unsigned reasons[] = {LOOP_WOKEN, LOOP_HOUSEKEEPING, LOOP_SLOW_DATAGRAM, LOOP_SLOW_PACKET, LOOP_TUN_LOST};
    const char *names[] = {"WOKEN", "HOUSEKEEPING", "SLOW_DATAGRAM", "SLOW_PACKET", "TUN_LOST"};
    for (size_t index = 0; index < sizeof reasons / sizeof *reasons; index++)
        if (PyModule_AddIntConstant(module, names[index], (long)reasons[index]) < 0)
            return -1;
    native_Loop_type = native_add_type(module, &spec);
    return native_Loop_type ? 0 : -1;
}
