/* Shared by the Python faces of the C parts. A part's `x.c` and `x.h` are C without Python, so that a fuzzer can be
   built from them. Its `py_x.c` gives them to Python under the names of the reference twin. */
#ifndef MLVPND_NATIVE_H
#define MLVPND_NATIVE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include "wire/packet.h"

/* Each adds the types of its file to the module; -1 with an exception set. */
int native_add_box(PyObject *module);
int native_add_replay(PyObject *module);
int native_add_path(PyObject *module);
int native_add_receiver(PyObject *module);
int native_add_engine(PyObject *module);
int native_add_loop(PyObject *module);
int native_add_transit(PyObject *module);
int native_add_loss(PyObject *module);
int native_add_rtt(PyObject *module);
int native_add_copies(PyObject *module);
int native_add_answers(PyObject *module);
int native_add_flow_index(PyObject *module);
int native_add_reorder(PyObject *module);

/* Makes a type, and adds it to the module under the last part of its name, for the life of the process. NULL with an
   exception set. */
PyTypeObject *native_add_type(PyObject *module, PyType_Spec *spec);
int native_add_inner(PyObject *module);
int native_add_fragments(PyObject *module);
int native_add_flow_queue(PyObject *module);
int native_add_stretch(PyObject *module);
int native_add_paced(PyObject *module);
int native_add_retransmissions(PyObject *module);
int native_add_weighted(PyObject *module);
int native_add_offload(PyObject *module);

/* A Python list of the packets as bytes; frees the packets. NULL with an exception set. */
PyObject *native_bytes_list(struct packet_list *list);
/* An owned packet with the bytes of a Python object with the buffer protocol; NULL with an exception set. */
struct packet *native_packet(PyObject *bytes);
/* The same, with its size on the line, a Python integer. */
struct packet *native_sized_packet(PyObject *bytes, PyObject *line_size);
/* A Python integer modulo 2^64; -1 with an exception set. */
int native_u64(PyObject *number, uint64_t *value);

#endif
