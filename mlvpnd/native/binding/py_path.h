/* The Python object around struct path_state: the base of a link's class. */
#ifndef MLVPND_PY_PATH_H
#define MLVPND_PY_PATH_H

#include "binding/native.h"
#include "sending/path_state.h"

struct path_object {
    PyObject_HEAD struct path_state state;
    /* Set by Python; `state` follows from these. */
    PyObject *status, *parameters, *peer, *flow, *rtt, *echo, *transit, *disorder, *loss, *answers, *drops, *name;
};

extern PyTypeObject *native_PathState_type;

/* Reads a Python socket address; its size is 0 if it is none. */
void native_address(PyObject *peer, struct address *address);
/* The other way round; NULL with an exception set. */
PyObject *native_address_tuple(const struct address *address);

/* The links of a session; Python has them as a mapping by number. */
struct native_paths {
    PyObject *mapping; /* dict[int, PathState] */
    struct path_table table;
    PyObject **objects; /* of the table, in its order */
    size_t room;
};

/* Takes over changes of the mapping; call it at every entry from Python. -1 with an exception set. */
int native_paths_follow(struct native_paths *paths);
/* Releases all of it. */
void native_paths_end(struct native_paths *paths);

#endif
