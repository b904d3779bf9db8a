"""Grades the two home experiments: ``python -m helpers.grading FILE``, or a whole folder of them.

What is handed in is a stranger's program. It runs in a worker process (:mod:`worker`) inside a :mod:`sandbox`; the
:mod:`judge` holds images, labels and expected values, and believes only values that it can compare.

submission   a notebook, read as text that nobody vouches for
selection    the statements of it that the answers need
rules        what this code must not use
wire         how tensors travel between judge and worker
worker       the process with the learner's code
sandbox      how that process is shut in
line         requests and answers, with deadlines
remote       what a check can ask the worker
tape         a network's computation as a list that a second worker runs again
structure    its layers, counted from that list
watch        operators and training steps, as they happen
stand_in     MNIST without the test images
refusal      operators, modules and programs that must not run there
judge        checks, points, one grade
child        a submission of a class, graded in a process of its own
folder       a class: one row for each submission, whatever happens
report       the grade as text, JSON, CSV and HTML
"""
