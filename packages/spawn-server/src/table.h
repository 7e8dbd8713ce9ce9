/* A part of the process table, for an owner that would need long for all of it. */
#ifndef EP_TABLE_H
#define EP_TABLE_H

/* Writes to standard output what /proc says of each process whose pid, divided by `parts`, leaves `part`. See PROTOCOL.md. */
int table_write(unsigned part, unsigned parts);

#endif
