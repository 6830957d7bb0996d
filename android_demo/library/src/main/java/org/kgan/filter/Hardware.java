package org.kgan.filter;

/** What runs a model. There is no way from one to the other but asking for it. */
public enum Hardware {
    CPU,
    GPU
}
