module extconn.dev/lab/witness

go 1.26.0
