"""The small package behind the course *Convolution by Hand*: one idea a module, each short enough to read in one sitting."""

__version__ = "0.1.0"
