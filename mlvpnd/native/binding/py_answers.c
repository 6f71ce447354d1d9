#include "binding/py_answers.h"

PyTypeObject *native_AnswerPace_type;

static inline struct answer_pace *pace_of(PyObject *self) {
    return &((struct answer_pace_object *)self)->pace;
}

static PyObject *new(PyTypeObject *type, PyObject *args, PyObject *names) {
    static char *keywords[] = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, names, "", keywords))
        return NULL;
    PyObject *self = type->tp_alloc(type, 0);
    if (self)
        answers_begin(pace_of(self));
    return self;
}

static PyObject *answers(PyObject *self, PyObject *args) {
    double now, sent_at;
    if (!PyArg_ParseTuple(args, "dd", &now, &sent_at))
        return NULL;
    return PyBool_FromLong(answers_one(pace_of(self), now, sent_at));
}

static PyMethodDef methods[] = {
    {"answers", answers, METH_VARARGS, NULL},
    {NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_new, new},
    {Py_tp_methods, methods},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "mlvpnd.dataplane._native.AnswerPace",
    .basicsize = sizeof(struct answer_pace_object),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = slots,
};

int native_add_answers(PyObject *module) {
    native_AnswerPace_type = native_add_type(module, &spec);
    return native_AnswerPace_type ? 0 : -1;
}
