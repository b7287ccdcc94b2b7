"""Data: reading and checking data sets, converting Oxford Hand, drawing hands, anchors, training batches."""
