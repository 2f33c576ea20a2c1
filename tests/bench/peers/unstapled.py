"""clinch without a staple: what a stapled handshake is compared with."""

from peers import clinch, write

TITLE = "unstapled"
PORT_LINE = clinch.PORT_LINE
find = clinch.find


def command(site):
    text = (clinch.CONFIG + clinch.ONE + "ocsp = never\n").format(**vars(site))
    return [find(), "-c", write(site, "clinch.ini", text)]
