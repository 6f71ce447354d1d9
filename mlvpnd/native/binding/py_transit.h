/* The Python objects around the structs of transit.h. */
#ifndef MLVPND_PY_TRANSIT_H
#define MLVPND_PY_TRANSIT_H

#include "binding/native.h"
#include "receiving/transit.h"

struct transit_object {
    PyObject_HEAD struct transit transit;
};

struct disorder_object {
    PyObject_HEAD struct disorder disorder;
};

extern PyTypeObject *native_Transit_type, *native_Disorder_type;

#endif
