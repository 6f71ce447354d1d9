/* The Python object around struct engine. */
#ifndef MLVPND_PY_ENGINE_H
#define MLVPND_PY_ENGINE_H

#include "sending/engine.h"
#include "binding/py_path.h"
#include "binding/py_receiver.h"

struct engine_object {
    PyObject_HEAD struct engine engine;
    PyObject *receiver, *paced, *weighted, *retransmissions, *fragments, *flows;
};

extern PyTypeObject *native_Engine_type;

/* Takes over what Python has changed; call it at every entry. -1 with an exception set. */
int native_engine_enter(struct engine_object *engine);

#endif
