/* The Python objects around the structs of replay.h. */
#ifndef MLVPND_PY_REPLAY_H
#define MLVPND_PY_REPLAY_H

#include "binding/native.h"
#include "wire/replay.h"

struct replay_window_object {
    PyObject_HEAD struct replay_window window;
};

struct clear_window_object {
    PyObject_HEAD struct clear_window window;
};

struct peer_flow_object {
    PyObject_HEAD struct peer_flow flow; /* its windows are those of `window` and `clear` */
    PyObject *link;                      /* str, interned */
    PyObject *window;                    /* ReplayWindow */
    PyObject *clear;                     /* ClearWindow, or None */
};

extern PyTypeObject *native_ReplayWindow_type, *native_ClearWindow_type, *native_PeerFlow_type;

#endif
