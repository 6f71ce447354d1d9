/* The Python object around struct flow_index. */
#ifndef MLVPND_PY_FLOW_INDEX_H
#define MLVPND_PY_FLOW_INDEX_H

#include "wire/flow_index.h"
#include "binding/native.h"

struct flow_index_object {
    PyObject_HEAD struct flow_index index;
    PyObject *flows; /* dict[int, PeerFlow]: those of the peer, which must stay */
};

extern PyTypeObject *native_FlowIndex_type;

#endif
