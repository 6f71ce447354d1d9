#ifndef MLVPND_PY_FLOW_QUEUE_H
#define MLVPND_PY_FLOW_QUEUE_H

#include "binding/native.h"
#include "sending/flow_queue.h"

struct flow_queue_object {
    PyObject_HEAD struct flow_queue queue;
};

extern PyTypeObject *native_FlowQueue_type;

#endif
