"""clinch without a staple: what a stapled handshake is compared with."""

from peers import clinch, write

TITLE = "unstapled"
SAYS_PORT = clinch.SAYS_PORT
find = clinch.find


def command(site):
    text = (clinch.CONFIG + clinch.ONE + "ocsp = never\n").format(**vars(site))
    return [find(), "-c", write(site, "clinch.ini", text)]
