#include "proxy/crc32c.h"
