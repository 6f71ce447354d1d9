/* The Python object around struct path_state: the base of a link's class. */
#ifndef MLVPND_PY_PATH_H
#define MLVPND_PY_PATH_H

#include "binding/native.h"
#include "sending/path_state.h"

struct path_object {
    PyObject_HEAD struct path_state state;
    /* What Python has set; `state` has what follows from it. */
    PyObject *status, *parameters, *peer, *flow, *rtt, *echo, *transit, *disorder, *loss, *answers, *drops, *name;
};

extern PyTypeObject *native_PathState_type;

/* A socket address as Python has it; of size 0 if it is none. */
void native_address(PyObject *peer, struct address *address);
/* The other way round; NULL with an exception set. */
PyObject *native_address_tuple(const struct address *address);

/* The links of a session, which Python has as a mapping by number. */
struct native_paths {
    PyObject *mapping; /* dict[int, PathState] */
    struct path_table table;
    PyObject **objects; /* of the table, in its order */
    size_t room;
};

/* Follows the mapping; to be called at every entry from Python. -1 with an exception set. */
int native_paths_follow(struct native_paths *paths);
/* Lets go of it all. */
void native_paths_end(struct native_paths *paths);

#endif
