#include "staple/slots.h"
