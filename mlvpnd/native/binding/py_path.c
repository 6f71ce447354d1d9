#include "binding/py_path.h"

#include <arpa/inet.h>

#include "binding/py_answers.h"
#include "binding/py_loss.h"
#include "binding/py_replay.h"
#include "binding/py_rtt.h"
#include "binding/py_transit.h"

PyTypeObject *native_PathState_type;
static PyObject *reasons; /* all DropReasons, in their order */

#define SELF ((struct path_object *)self)

/* Reads the local address behind a peer's in Python's tuple: over IPv4 a host, over IPv6 a host and an interface. */
static void take_called(PyObject *peer, Py_ssize_t at, struct called *called) {
    Py_ssize_t more = PyTuple_GET_SIZE(peer) - at;
    const char *host = more > 0 ? PyUnicode_AsUTF8(PyTuple_GET_ITEM(peer, at)) : NULL;
    unsigned long scope = host && more > 1 ? PyLong_AsUnsignedLongMask(PyTuple_GET_ITEM(peer, at + 1)) : 0;
    if (PyErr_Occurred())
        PyErr_Clear();
    else if (host && inet_pton(more == 1 ? AF_INET : AF_INET6, host, &called->address) == 1)
        called->scope = (uint32_t)scope;
}

void native_address(PyObject *peer, struct address *address) {
    memset(address, 0, sizeof *address);
    if (!peer || !PyTuple_Check(peer) || PyTuple_GET_SIZE(peer) < 2)
        return;
    Py_ssize_t size = PyTuple_GET_SIZE(peer), plain = size < 4 ? 2 : 4;
    const char *host = PyUnicode_AsUTF8(PyTuple_GET_ITEM(peer, 0));
    unsigned long fields[3] = {0};
    for (Py_ssize_t index = 1; host && index < plain; index++)
        fields[index - 1] = PyLong_AsUnsignedLongMask(PyTuple_GET_ITEM(peer, index));
    if (PyErr_Occurred()) { /* it is no socket address, so no packet comes from it */
        PyErr_Clear();
        return;
    }
    take_called(peer, plain, &address->called);
    if (plain == 2) {
        if (inet_pton(AF_INET, host, &address->v4.sin_addr) != 1)
            return;
        address->v4.sin_family = AF_INET;
        address->v4.sin_port = htons((uint16_t)fields[0]);
        address->size = sizeof address->v4;
    } else {
        char bare[INET6_ADDRSTRLEN];
        size_t length = strcspn(host, "%"); /* the scope is a number of its own in the tuple */
        if (length >= sizeof bare)
            return;
        memcpy(bare, host, length);
        bare[length] = '\0';
        if (inet_pton(AF_INET6, bare, &address->v6.sin6_addr) != 1)
            return;
        address->v6.sin6_family = AF_INET6;
        address->v6.sin6_port = htons((uint16_t)fields[0]);
        address->v6.sin6_flowinfo = htonl((uint32_t)fields[1]);
        address->v6.sin6_scope_id = (uint32_t)fields[2];
        address->size = sizeof address->v6;
    }
}

PyObject *native_address_tuple(const struct address *address) {
    char host[INET6_ADDRSTRLEN], called[INET6_ADDRSTRLEN];
    bool known = called_known(&address->called);
    if (known)
        inet_ntop(address->any.sa_family, &address->called.address, called, sizeof called);
    if (address->any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &address->v4.sin_addr, host, sizeof host);
        return Py_BuildValue(known ? "sis" : "si", host, (int)ntohs(address->v4.sin_port), called);
    }
    inet_ntop(AF_INET6, &address->v6.sin6_addr, host, sizeof host);
    return Py_BuildValue(known ? "siIIsI" : "siII", host, (int)ntohs(address->v6.sin6_port),
                         (unsigned)ntohl(address->v6.sin6_flowinfo), (unsigned)address->v6.sin6_scope_id, called,
                         (unsigned)address->called.scope);
}

/* Attributes that Python reads as it set them. */

static PyObject *get_object(PyObject *self, void *offset) {
    PyObject *value = *(PyObject **)((char *)self + (size_t)offset);
    return Py_NewRef(value ? value : Py_None);
}

static void keep(PyObject **place, PyObject *value) {
    PyObject *before = *place;
    *place = Py_XNewRef(value);
    Py_XDECREF(before);
}

static int is_deleted(PyObject *value) {
    if (value)
        return 0;
    PyErr_SetString(PyExc_AttributeError, "it cannot be deleted");
    return 1;
}

static int set_status(PyObject *self, PyObject *value, void *closure) {
    (void)closure;
    if (is_deleted(value))
        return -1;
    long number = PyLong_AsLong(value);
    if (number == -1 && PyErr_Occurred())
        return -1;
    SELF->state.status = (int32_t)number;
    keep(&SELF->status, value);
    return 0;
}

static int set_parameters(PyObject *self, PyObject *value, void *closure) {
    (void)closure;
    if (is_deleted(value))
        return -1;
    PyObject *fallback = PyObject_GetAttrString(value, "fallback_only");
    int only = fallback ? PyObject_IsTrue(fallback) : -1;
    Py_XDECREF(fallback);
    PyObject *name = only < 0 ? NULL : PyObject_GetAttrString(value, "name");
    if (!name)
        return -1;
    if (!PyUnicode_CheckExact(name)) {
        Py_DECREF(name);
        PyErr_SetString(PyExc_TypeError, "a link's name is a str");
        return -1;
    }
    PyUnicode_InternInPlace(&name); /* so that pointers can be compared */
    Py_XSETREF(SELF->name, name);
    SELF->state.name = name;
    SELF->state.fallback_only = only;
    keep(&SELF->parameters, value);
    return 0;
}

static int set_peer(PyObject *self, PyObject *value, void *closure) {
    (void)closure;
    if (is_deleted(value))
        return -1;
    native_address(value, &SELF->state.peer);
    keep(&SELF->peer, value);
    return 0;
}

static int set_drops(PyObject *self, PyObject *value, void *closure) {
    (void)closure;
    if (is_deleted(value))
        return -1;
    memset(SELF->state.drops, 0, sizeof SELF->state.drops);
    keep(&SELF->drops, value);
    return 0;
}

/* Adds the engine's counts to the Counter. */
static PyObject *get_drops(PyObject *self, void *closure) {
    (void)closure;
    for (int reason = 0; reason < DROP_REASONS; reason++) {
        if (!SELF->state.drops[reason])
            continue;
        PyObject *key = PyTuple_GET_ITEM(reasons, reason);
        PyObject *more = PyLong_FromUnsignedLongLong(SELF->state.drops[reason]);
        PyObject *before = more ? PyObject_GetItem(SELF->drops, key) : NULL;
        PyObject *sum = before ? PyNumber_Add(before, more) : NULL;
        int set = sum ? PyObject_SetItem(SELF->drops, key, sum) : -1;
        Py_XDECREF(more);
        Py_XDECREF(before);
        Py_XDECREF(sum);
        if (set < 0)
            return NULL;
        SELF->state.drops[reason] = 0;
    }
    return Py_NewRef(SELF->drops ? SELF->drops : Py_None);
}

static PyObject *get_epoch(PyObject *self, void *closure) {
    (void)closure;
    if (SELF->state.epoch == PATH_NO_EPOCH)
        Py_RETURN_NONE;
    return PyLong_FromLongLong(SELF->state.epoch);
}

static int set_epoch(PyObject *self, PyObject *value, void *closure) {
    (void)closure;
    if (is_deleted(value))
        return -1;
    long long epoch = value == Py_None ? PATH_NO_EPOCH : PyLong_AsLongLong(value);
    if (epoch == -1 && PyErr_Occurred())
        return -1;
    SELF->state.epoch = epoch;
    return 0;
}

/* An attribute of a native type, or None where None may be. */
#define SET_PART(name, type, object, part, may_be_none)                                                                \
    static int set_##name(PyObject *self, PyObject *value, void *closure) {                                            \
        (void)closure;                                                                                                 \
        if (is_deleted(value))                                                                                         \
            return -1;                                                                                                 \
        if ((may_be_none) && value == Py_None) {                                                                       \
            SELF->state.name = NULL;                                                                                   \
        } else if (PyObject_TypeCheck(value, native_##type##_type)) {                                                  \
            SELF->state.name = &((struct object *)value)->part;                                                        \
        } else {                                                                                                       \
            PyErr_SetString(PyExc_TypeError, "it must be the native " #type);                                          \
            return -1;                                                                                                 \
        }                                                                                                              \
        keep(&SELF->name, value);                                                                                      \
        return 0;                                                                                                      \
    }

SET_PART(flow, PeerFlow, peer_flow_object, flow, true)
SET_PART(rtt, RttEstimator, rtt_estimator_object, rtt, false)
SET_PART(echo, StampEcho, stamp_echo_object, echo, false)
SET_PART(transit, Transit, transit_object, transit, false)
SET_PART(disorder, Disorder, disorder_object, disorder, false)
SET_PART(loss, LossMeter, loss_meter_object, meter, true)
SET_PART(answers, AnswerPace, answer_pace_object, pace, false)

#define OBJECT(name) {#name, get_object, set_##name, NULL, (void *)offsetof(struct path_object, name)}

static PyGetSetDef attributes[] = {
    OBJECT(status),
    OBJECT(parameters),
    OBJECT(peer),
    OBJECT(flow),
    OBJECT(rtt),
    OBJECT(echo),
    OBJECT(transit),
    OBJECT(disorder),
    OBJECT(loss),
    OBJECT(answers),
    {"drops", get_drops, set_drops, NULL, NULL},
    {"epoch", get_epoch, set_epoch, NULL, NULL},
    {NULL},
};

#define MEMBER(name, type) {#name, type, offsetof(struct path_object, state.name), 0, NULL}

static PyMemberDef members[] = {
    MEMBER(number, T_INT),
    MEMBER(flow_id, T_UINT),
    MEMBER(next_seq, T_ULONGLONG),
    MEMBER(distrusted, T_BOOL),
    MEMBER(on_trial, T_BOOL),
    MEMBER(ready, T_BOOL),
    MEMBER(unanswered_auths, T_UINT),
    MEMBER(heard_at, T_DOUBLE),
    MEMBER(heard_gap, T_DOUBLE),
    MEMBER(sent_at, T_DOUBLE),
    MEMBER(numbered_at, T_DOUBLE),
    MEMBER(up_at, T_DOUBLE),
    MEMBER(judge_at, T_DOUBLE),
    MEMBER(last_auth_at, T_DOUBLE),
    MEMBER(last_disconnect_at, T_DOUBLE),
    MEMBER(packets_sent, T_ULONGLONG),
    MEMBER(bytes_sent, T_ULONGLONG),
    MEMBER(packets_received, T_ULONGLONG),
    MEMBER(bytes_received, T_ULONGLONG),
    {NULL},
};

static void dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    PyObject **objects[] = {&SELF->status,  &SELF->parameters, &SELF->peer, &SELF->flow,    &SELF->rtt,   &SELF->echo,
                            &SELF->transit, &SELF->disorder,   &SELF->loss, &SELF->answers, &SELF->drops, &SELF->name};
    for (size_t index = 0; index < sizeof objects / sizeof *objects; index++)
        Py_CLEAR(*objects[index]);
    path_clear(&SELF->state);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyType_Slot slots[] = {
    {Py_tp_dealloc, dealloc},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_members, members},
    {Py_tp_getset, attributes},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "mlvpnd.dataplane._native.PathState",
    .basicsize = sizeof(struct path_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = slots,
};

/* The mapping of links. */

static bool is_followed(const struct native_paths *paths) {
    if ((size_t)PyDict_GET_SIZE(paths->mapping) != paths->table.count)
        return false;
    Py_ssize_t at = 0;
    PyObject *key, *value;
    for (size_t index = 0; PyDict_Next(paths->mapping, &at, &key, &value); index++)
        if (paths->objects[index] != value)
            return false;
    return true;
}

static void native_paths_clear(struct native_paths *paths) {
    while (paths->table.count)
        Py_DECREF(paths->objects[--paths->table.count]);
}

int native_paths_follow(struct native_paths *paths) {
    if (is_followed(paths))
        return 0;
    native_paths_clear(paths);
    size_t count = (size_t)PyDict_GET_SIZE(paths->mapping);
    if (count > paths->room) {
        PyObject **objects = PyMem_Realloc(paths->objects, count * sizeof *objects);
        if (objects)
            paths->objects = objects;
        struct path_state **states = objects ? PyMem_Realloc(paths->table.paths, count * sizeof *states) : NULL;
        if (!states) {
            PyErr_NoMemory();
            return -1;
        }
        paths->table.paths = states;
        paths->room = count;
    }
    Py_ssize_t at = 0;
    PyObject *key, *value;
    while (PyDict_Next(paths->mapping, &at, &key, &value)) {
        if (!PyObject_TypeCheck(value, native_PathState_type)) {
            PyErr_SetString(PyExc_TypeError, "a link must be a native PathState");
            return -1;
        }
        paths->objects[paths->table.count] = Py_NewRef(value);
        paths->table.paths[paths->table.count++] = &((struct path_object *)value)->state;
    }
    return 0;
}

void native_paths_end(struct native_paths *paths) {
    native_paths_clear(paths);
    PyMem_Free(paths->objects);
    PyMem_Free(paths->table.paths);
    Py_CLEAR(paths->mapping);
}

int native_add_path(PyObject *module) {
    PyObject *drops = PyImport_ImportModule("mlvpnd.protocol.wire.drops");
    PyObject *reason = drops ? PyObject_GetAttrString(drops, "DropReason") : NULL;
    reasons = reason ? PySequence_Tuple(reason) : NULL;
    Py_XDECREF(drops);
    Py_XDECREF(reason);
    if (!reasons)
        return -1;
    if (PyTuple_GET_SIZE(reasons) != DROP_REASONS) {
        PyErr_SetString(PyExc_ImportError,
                        "the native data plane knows other reasons for drops: it is of another version");
        return -1;
    }
    native_PathState_type = native_add_type(module, &spec);
    return native_PathState_type ? 0 : -1;
}
