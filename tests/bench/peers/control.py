"""The same clinch once more: two identical programs in one round.  Their ratio
is 1, and what it differs from 1 is the error of every other ratio."""

from peers import clinch

TITLE = "control"
PORT_LINE = clinch.PORT_LINE
find = clinch.find
command = clinch.command
