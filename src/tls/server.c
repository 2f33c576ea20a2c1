#include "tls/server.h"
