"""Months on a GPU: the same functions of one home and of one month as on the CPU, compiled for CUDA."""
