/* The Python object around struct flow_index. */
#ifndef MLVPND_PY_FLOW_INDEX_H
#define MLVPND_PY_FLOW_INDEX_H

#include "wire/flow_index.h"
#include "binding/native.h"

struct flow_index_object {
    PyObject_HEAD struct flow_index index;
    PyObject *flows; /* dict[int, PeerFlow]: keeps the peer's flows alive */
};

extern PyTypeObject *native_FlowIndex_type;

#endif
