#include "tls/allow.h"
