#include "proxy/proxyproto.h"
