/* The Python object around the struct of loss.h. */
#ifndef MLVPND_PY_LOSS_H
#define MLVPND_PY_LOSS_H

#include "receiving/loss.h"
#include "binding/native.h"

struct loss_meter_object {
    PyObject_HEAD struct loss_meter meter;
};

extern PyTypeObject *native_LossMeter_type;

#endif
