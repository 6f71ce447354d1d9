/* The Python object around the struct of answers.h. */
#ifndef MLVPND_PY_ANSWERS_H
#define MLVPND_PY_ANSWERS_H

#include "receiving/answers.h"
#include "binding/native.h"

struct answer_pace_object {
    PyObject_HEAD struct answer_pace pace;
};

extern PyTypeObject *native_AnswerPace_type;

#endif
