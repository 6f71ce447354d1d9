/* The Python objects around the structs of rtt.h. */
#ifndef MLVPND_PY_RTT_H
#define MLVPND_PY_RTT_H

#include "binding/native.h"
#include "receiving/rtt.h"

struct rtt_estimator_object {
    PyObject_HEAD struct rtt_estimator rtt;
};

struct stamp_echo_object {
    PyObject_HEAD struct stamp_echo echo;
};

extern PyTypeObject *native_RttEstimator_type, *native_StampEcho_type;

#endif
