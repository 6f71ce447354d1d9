#ifndef MLVPND_PY_WEIGHTED_H
#define MLVPND_PY_WEIGHTED_H

#include "binding/native.h"
#include "sending/weighted.h"

struct weighted_object {
    PyObject_HEAD struct weighted weighted;
};

extern PyTypeObject *native_WeightedScheduler_type;

#endif
