#include "staple/cert.h"
