"""What turns an image into payloads or spikes."""
